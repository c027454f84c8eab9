package conformance

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

var stopCases = []testCase{
	{name: "StopWithinGrace", run: stopWithinGrace},
	{name: "StopBySignal", run: stopBySignal},
	{name: "StopOfOneThatIgnoresTERM", run: stopOfOneThatIgnoresTERM},
	{name: "StopKill", run: stopKill},
	{name: "StopTwice", run: stopTwice},
	{name: "StopShortens", run: stopShortens},
	{name: "StopUnknown", run: stopUnknown},
	{name: "StopInBackOff", run: stopInBackOff},
	{name: "StopEndsTheWholeTree", run: stopEndsTheWholeTree, processes: true},
	{name: "ExitEndsTheWholeTree", run: exitEndsTheWholeTree, processes: true},
	{name: "ShutdownLeavesNothing", run: shutdownLeavesNothing},
}

func stopWithinGrace(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "run")
	spec.Restart = quick(runtime.RestartAlways) // a stop is not a crash
	s.start(t, spec)
	w.ready(t, spec.ID)
	begin := time.Now()
	s.stop(t, spec.ID, runtime.StopRequest{})
	if exit := w.exited(t, spec.ID, 1); exit.Signal != "SIGTERM" || exit.Code != -1 {
		t.Errorf("%+v", exit)
	}
	w.phase(t, spec.ID, runtime.GenerationStopping)
	w.phase(t, spec.ID, runtime.GenerationStopped)
	if took := time.Since(begin); took > spec.Stop.Grace/2 {
		t.Errorf("it took %s", took)
	}
	s.stop(t, spec.ID, runtime.StopRequest{}) // one that has ended
}

func stopBySignal(t *testing.T, s *suite) {
	w := s.watch(t)
	for service, signal := range map[string]string{"short": "HUP", "long": "SIGHUP"} {
		spec := s.spec(service, "run")
		spec.Stop.Signal = signal
		s.start(t, spec)
		w.ready(t, spec.ID)
		s.stop(t, spec.ID, runtime.StopRequest{})
		if exit := w.exited(t, spec.ID, 1); exit.Signal != "SIGHUP" {
			t.Errorf("%s: %+v", signal, exit)
		}
	}
}

// stubborn starts one that ignores SIGTERM, and waits until it does.
func (s *suite) stubborn(t *testing.T, w *watch, grace time.Duration) runtime.ID {
	t.Helper()
	spec := s.spec("web", "stubborn")
	spec.Stop.Grace = grace
	s.start(t, spec)
	w.ready(t, spec.ID)
	if s.h.Processes {
		s.follow(t, "web", "stubborn\n")
	}
	return spec.ID
}

func stopOfOneThatIgnoresTERM(t *testing.T, s *suite) {
	w := s.watch(t)
	const grace = 200 * time.Millisecond
	id := s.stubborn(t, w, grace)
	begin := time.Now()
	s.stop(t, id, runtime.StopRequest{})
	if exit := w.exited(t, id, 1); exit.Signal != "SIGKILL" {
		t.Errorf("%+v", exit)
	}
	if took := time.Since(begin); took < grace {
		t.Errorf("it was killed after %s, within its grace", took)
	}
	w.phase(t, id, runtime.GenerationStopped)
}

func stopKill(t *testing.T, s *suite) {
	w := s.watch(t)
	id := s.stubborn(t, w, time.Hour)
	s.stop(t, id, runtime.StopRequest{Kill: true})
	if exit := w.exited(t, id, 1); exit.Signal != "SIGKILL" {
		t.Errorf("%+v", exit)
	}
}

func stopTwice(t *testing.T, s *suite) {
	w := s.watch(t)
	id := s.stubborn(t, w, 200*time.Millisecond)
	s.stop(t, id, runtime.StopRequest{})
	s.stop(t, id, runtime.StopRequest{})
	w.phase(t, id, runtime.GenerationStopped)
	if n := count(w.all(), id, runtime.ExitedEvent); n != 1 {
		t.Errorf("%d exits", n)
	}
}

func stopShortens(t *testing.T, s *suite) {
	w := s.watch(t)
	grace := time.Hour
	if s.h.Elsewhere { // a kubelet that waits heeds no shorter one (kubernetes/kubernetes#113606); it must not get longer
		grace = 5 * time.Second
	}
	id := s.stubborn(t, w, grace)
	s.stop(t, id, runtime.StopRequest{})
	s.stop(t, id, runtime.StopRequest{Grace: 50 * time.Millisecond})
	s.stop(t, id, runtime.StopRequest{Grace: time.Hour}) // does not lengthen it again
	w.phase(t, id, runtime.GenerationStopped)
}

func stopUnknown(t *testing.T, s *suite) {
	err := s.rt.Stop(t.Context(), s.spec("nobody", "run").ID, runtime.StopRequest{})
	wantClass(t, "stop of an unknown one", err, runtime.NotFound)
}

func stopInBackOff(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("job", "exit", "1")
	spec.Restart = runtime.Restart{Policy: runtime.RestartAlways, Min: time.Hour, Max: time.Hour}
	s.start(t, spec)
	w.phase(t, spec.ID, runtime.GenerationBackoff)
	s.stop(t, spec.ID, runtime.StopRequest{})
	w.phase(t, spec.ID, runtime.GenerationStopped)
	if n := count(w.all(), spec.ID, runtime.StartedEvent); n != 1 && !s.h.Elsewhere { // a kubelet waits from the second time on
		t.Errorf("started %d times", n)
	}
}

// leaf starts "tree" and returns the pid of what it leaves.
func (s *suite) leaf(t *testing.T, spec runtime.Spec) int {
	t.Helper()
	file := s.file(spec.ID.Service + ".leaf")
	s.start(t, spec)
	for end := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		if text, err := os.ReadFile(file); err == nil {
			pid, err := strconv.Atoi(string(text))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		if time.Now().After(end) {
			t.Fatalf("%s did not grow", spec.ID.Service)
		}
	}
}

func (s *suite) tree(service string) runtime.Spec {
	return s.spec(service, "tree", s.file(service+".leaf"))
}

func stopEndsTheWholeTree(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.tree("web")
	pid := s.leaf(t, spec)
	s.stop(t, spec.ID, runtime.StopRequest{})
	exit := w.exited(t, spec.ID, 1)
	w.phase(t, spec.ID, runtime.GenerationStopped)
	if !s.gone(pid) {
		t.Errorf("the stubborn process %d of a session of its own is left", pid)
	}
	if exit.Leftovers == 0 && !s.h.Elsewhere {
		t.Errorf("it is not counted: %+v", exit)
	}
}

// exitEndsTheWholeTree: also what an instance leaves that ends by itself goes.
func exitEndsTheWholeTree(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("job", "branch", s.file("job.leaf")) // leaves a leaf and ends
	// in no case is a leaf left that had no time to write its pid
	s.start(t, spec)
	w.exited(t, spec.ID, 1)
	w.phase(t, spec.ID, runtime.GenerationCompleted)
	if text, err := os.ReadFile(s.file("job.leaf")); err == nil {
		if pid, _ := strconv.Atoi(string(text)); !s.gone(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
}

func shutdownLeavesNothing(t *testing.T, s *suite) {
	w := s.watch(t)
	s.stubborn(t, w, 50*time.Millisecond)
	waiting := s.spec("waits", "exit", "1")
	waiting.Restart = runtime.Restart{Policy: runtime.RestartAlways, Min: time.Hour, Max: time.Hour}
	s.start(t, waiting)
	leaf := 0
	if s.h.Processes {
		leaf = s.leaf(t, s.tree("tree"))
	}
	if err := s.rt.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if leaf != 0 && !s.gone(leaf) {
		t.Errorf("process %d is left", leaf)
	}
	for _, pid := range s.seen.all() {
		if s.h.Processes && !s.gone(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	_, err := s.rt.Start(t.Context(), s.spec("late", "run"))
	wantClass(t, "start after shutdown", err, runtime.Unavailable)
}
