package conformance

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

var haltCases = []testCase{
	{name: "InspectLeavesOut", run: inspectLeavesOut, needs: runtime.CapabilityInspect},
	{name: "HaltedIsNotKilled", run: haltedIsNotKilled, needs: runtime.CapabilityInspect, processes: true},
}

func inspectLeavesOut(t *testing.T, s *suite) {
	w := s.watch(t)
	job, web := s.spec("job", "exit", "0"), s.spec("web", "run")
	web.Replicas = 2
	s.start(t, job)
	s.start(t, web)
	w.phase(t, job.ID, runtime.GenerationCompleted)
	w.until(t, "both run", func(events []runtime.Event) bool { return count(events, web.ID, runtime.StartedEvent) == 2 })
	stranger := s.spec("stranger", "run").ID
	seen, err := s.rt.Inspect(t.Context(), []runtime.ID{stranger, web.ID, job.ID})
	if err != nil || len(seen) != 2 {
		t.Fatalf("%+v, %v", seen, err)
	}
	for i, one := range seen {
		if want := (runtime.InstanceID{ID: web.ID, Replica: i, Attempt: 1}); one.Instance != want || one.Halted != "" {
			t.Errorf("%+v, want %s", one, want)
		}
	}
}

// haltedIsNotKilled: a probe that fails is not held against it, and a stop
// ends it all the same, as it would have ended by itself.
func haltedIsNotKilled(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "run")
	spec.Live = &runtime.Probe{Kind: runtime.ProbeExec, Command: s.command("exists", s.file("healthy")), Interval: 50 * time.Millisecond, Failures: 1}
	healthy := func() {
		if err := os.WriteFile(s.file("healthy"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	healthy()
	s.start(t, spec)
	pid := w.started(t, spec.ID, 1).Started.PID
	w.ready(t, spec.ID)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is seen to be stopped", func() bool {
		seen, err := s.rt.Inspect(t.Context(), []runtime.ID{spec.ID})
		return err == nil && len(seen) == 1 && strings.HasPrefix(seen[0].Halted, "stopped")
	})
	if err := os.Remove(s.file("healthy")); err != nil {
		t.Fatal(err)
	}
	<-time.After(10 * spec.Live.Interval) // not killed although it fails; too short a wait proves less, and no harm
	s.stop(t, spec.ID, runtime.StopRequest{})
	if exit := w.exited(t, spec.ID, 1); exit.Signal != "SIGTERM" {
		t.Errorf("%+v", exit)
	}
}

// eventually waits until ok; what says what is waited for.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !ok(); {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}
