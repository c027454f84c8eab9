package conformance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

var restartCases = []testCase{
	{name: "RestartNo", run: restartNo},
	{name: "RestartOnFailure", run: restartOnFailure},
	{name: "RestartAlways", run: restartAlways},
	{name: "RestartLimit", run: restartLimit},
	{name: "RestartWindow", run: restartWindow},
	{name: "BackOff", run: backOff},
	{name: "SuccessCodes", run: successCodes, processes: true},
	{name: "LivenessRestarts", run: livenessRestarts, processes: true},
	{name: "LimitsHoldOrAreRefused", run: limitsHoldOrAreRefused},
	{name: "TrialIsNotRestarted", run: trialIsNotRestarted},
	{name: "TrialEndsWithReady", run: trialEndsWithReady},
}

func quick(policy runtime.RestartPolicy) runtime.Restart {
	return runtime.Restart{Policy: policy, Min: 5 * time.Millisecond, Max: 5 * time.Millisecond}
}

func restartNo(t *testing.T, s *suite) {
	w := s.watch(t)
	good, bad := s.spec("good", "exit", "0"), s.spec("bad", "exit", "1")
	s.start(t, good)
	s.start(t, bad)
	if status := w.phase(t, good.ID, runtime.GenerationCompleted); status.Restarts != 0 {
		t.Errorf("%+v", status)
	}
	if status := w.phase(t, bad.ID, runtime.GenerationFailed); status.Restarts != 0 || status.Reason == "" || status.Lost {
		t.Errorf("%+v", status)
	}
}

func restartOnFailure(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("job", "succeed-at", "3", s.file("tries"))
	spec.Restart = quick(runtime.RestartOnFailure)
	s.start(t, spec)
	if status := w.phase(t, spec.ID, runtime.GenerationCompleted); status.Restarts != 2 {
		t.Errorf("%+v", status)
	}
	for attempt, code := range []int{1, 1, 0} {
		if exit := w.exited(t, spec.ID, attempt+1); exit.Code != code {
			t.Errorf("attempt %d: %+v", attempt+1, exit)
		}
	}
}

func restartAlways(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("job", "exit", "0")
	spec.Restart = quick(runtime.RestartAlways)
	s.start(t, spec)
	w.started(t, spec.ID, 4)
	s.stop(t, spec.ID, runtime.StopRequest{})
	if status := w.phase(t, spec.ID, runtime.GenerationStopped); status.Restarts < 3 {
		t.Errorf("%+v", status)
	}
}

func restartLimit(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("job", "exit", "1")
	spec.Restart = quick(runtime.RestartOnFailure)
	spec.Restart.Limit, spec.Restart.Window = 3, time.Hour
	s.start(t, spec)
	status := w.phase(t, spec.ID, runtime.GenerationFailed)
	if n := count(w.all(), spec.ID, runtime.ExitedEvent); n != 4 || status.Restarts != 3 || status.Reason == "" {
		t.Errorf("%d exits, %+v", n, status)
	}
}

func restartWindow(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("job", "exit", "1")
	// never more than two restarts within the window, so never too many
	spec.Restart = runtime.Restart{
		Policy: runtime.RestartAlways, Min: 80 * time.Millisecond, Max: 80 * time.Millisecond,
		Limit: 2, Window: 100 * time.Millisecond,
	}
	s.start(t, spec)
	w.started(t, spec.ID, 6)
}

func backOff(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("job", "exit", "1")
	spec.Restart = runtime.Restart{Policy: runtime.RestartAlways, Min: 40 * time.Millisecond, Max: 100 * time.Millisecond}
	s.start(t, spec)
	delays, exact, slack := s.h.BackOff, time.Second, 10*time.Second // others' clocks count in seconds
	if delays == nil {
		// half a second of slack for a busy machine: this is about the shape
		delays, exact, slack = []time.Duration{40 * time.Millisecond, 80 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond}, time.Millisecond, 500*time.Millisecond
	}
	for i, want := range delays {
		next := w.started(t, spec.ID, i+2)
		end := w.wait(t, "exit", func(e runtime.Event) bool { return e.Exit != nil && e.Instance.Attempt == i+1 })
		if got := next.Time.Sub(end.Time); got < want-exact || got > want+want/10+slack {
			t.Errorf("delay before restart %d: %s, want %s and up to a tenth more", i+1, got, want)
		}
	}
	status := w.phase(t, spec.ID, runtime.GenerationBackoff)
	if status.Until.IsZero() {
		t.Error("back-off without saying until when")
	}
	s.stop(t, spec.ID, runtime.StopRequest{})
	w.phase(t, spec.ID, runtime.GenerationStopped)
}

func successCodes(t *testing.T, s *suite) {
	w := s.watch(t)
	for i, c := range []struct {
		verb, arg string
		phase     runtime.GenerationPhase
	}{
		{"exit", "0", runtime.GenerationCompleted}, {"exit", "143", runtime.GenerationCompleted},
		{"signal", "15", runtime.GenerationCompleted}, {"exit", "1", runtime.GenerationFailed}, {"signal", "9", runtime.GenerationFailed},
	} {
		spec := s.spec(fmt.Sprint("job", i), c.verb, c.arg)
		spec.SuccessCodes = []int{143}
		s.start(t, spec)
		w.phase(t, spec.ID, c.phase)
		if exit := w.exited(t, spec.ID, 1); exit.Success() != (c.phase == runtime.GenerationCompleted) {
			t.Errorf("%s %s: %+v", c.verb, c.arg, exit)
		}
	}
}

func livenessRestarts(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "run")
	spec.Restart = quick(runtime.RestartOnFailure)
	spec.Live = &runtime.Probe{
		Kind: runtime.ProbeExec, Command: s.command("exists", s.file("never")), Interval: 10 * time.Millisecond, Failures: 2,
	}
	s.start(t, spec)
	exit := w.exited(t, spec.ID, 1)
	if !exit.Ready || exit.Success() || !strings.HasPrefix(exit.Error, "liveness probe failed 2 times: ") {
		t.Errorf("%+v", exit)
	}
	w.started(t, spec.ID, 2)
}

// limitsHoldOrAreRefused: what a runtime cannot keep it says at Start.
func limitsHoldOrAreRefused(t *testing.T, s *suite) {
	spec := s.spec("web", "run")
	spec.Limits = runtime.Limits{Memory: 256 << 20, MilliCPU: 900, PIDs: 500}
	_, err := s.rt.Start(t.Context(), spec)
	if err == nil {
		s.watch(t).ready(t, spec.ID)
		return
	}
	wantClass(t, "start with limits", err, runtime.Unsupported)
	if runtime.Hint(err) == "" {
		t.Errorf("%v, without a hint", err)
	}
	if n := count(s.watch(t).all(), spec.ID, runtime.GenerationEvent); n != 0 {
		t.Error("it was refused, and is known all the same")
	}
}

// neverReady is a probe that fails.
func (s *suite) neverReady() *runtime.Probe {
	return &runtime.Probe{Kind: runtime.ProbeExec, Command: s.command("exists", s.file("never"))}
}

func trialIsNotRestarted(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("job", "exit", "1", "100ms")
	spec.Restart, spec.Trial, spec.Ready = quick(runtime.RestartAlways), true, s.neverReady()
	s.start(t, spec)
	if status := w.phase(t, spec.ID, runtime.GenerationFailed); status.Restarts != 0 {
		t.Errorf("%+v", status)
	}
}

func trialEndsWithReady(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("job", "exit", "1") // ready as soon as it runs
	spec.Restart, spec.Trial = quick(runtime.RestartAlways), true
	s.start(t, spec)
	w.started(t, spec.ID, 3)
}
