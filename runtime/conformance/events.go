package conformance

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

var eventCases = []testCase{
	{name: "OrderOfEvents", run: orderOfEvents},
	{name: "PresentThenSynced", run: presentThenSynced},
	{name: "RedeliveryUntilForget", run: redeliveryUntilForget},
	{name: "ManyExitsBecomeASummary", run: manyExitsBecomeASummary},
	{name: "ExitsWhileNobodyWatches", run: exitsWhileNobodyWatches},
	{name: "ExitCodesAndSignals", run: exitCodesAndSignals, processes: true},
}

func orderOfEvents(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "run")
	s.start(t, spec)
	w.ready(t, spec.ID)
	s.stop(t, spec.ID, runtime.StopRequest{})
	w.phase(t, spec.ID, runtime.GenerationStopped)
	var got []runtime.EventKind
	for _, e := range w.all() {
		if e.Kind != runtime.GenerationEvent && e.Kind != runtime.SyncedEvent {
			got = append(got, e.Kind)
		}
	}
	want := []runtime.EventKind{runtime.StartedEvent, runtime.ReadyEvent, runtime.ExitedEvent}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("kinds %v, want %v", got, want)
	}
	if e := w.wait(t, "exit", func(e runtime.Event) bool { return e.Exit != nil }); !e.Exit.Ready {
		t.Error("the exit does not say that it was ready")
	}
}

func presentThenSynced(t *testing.T, s *suite) {
	if first := s.watch(t).all(); len(first) != 1 {
		t.Errorf("a fresh runtime has a present:\n%s", format(first))
	}
	spec := s.spec("web", "run")
	live := s.watch(t)
	s.start(t, spec)
	live.ready(t, spec.ID)
	late := s.watch(t).all()
	var kinds []runtime.EventKind
	for _, e := range late {
		kinds = append(kinds, e.Kind)
	}
	want := []runtime.EventKind{runtime.GenerationEvent, runtime.StartedEvent, runtime.ReadyEvent, runtime.SyncedEvent}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Fatalf("the present is\n%s", format(late))
	}
	started := live.started(t, spec.ID, 1)
	if late[1].Sequence != started.Sequence || late[1].Started.PID != started.Started.PID {
		t.Errorf("started is now %+v, was %+v", late[1], started)
	}
}

func redeliveryUntilForget(t *testing.T, s *suite) {
	spec := s.spec("job", "exit", "3")
	w := s.watch(t)
	s.start(t, spec)
	last := w.wait(t, "failed", func(e runtime.Event) bool {
		return e.Kind == runtime.GenerationEvent && e.Generation.Phase == runtime.GenerationFailed
	})
	for range 2 {
		again := s.watch(t)
		if exit := again.exited(t, spec.ID, 1); exit.Code != 3 {
			t.Errorf("it is redelivered as %+v", exit)
		}
		again.close(t)
	}
	exit := w.wait(t, "exit", func(e runtime.Event) bool { return e.Exit != nil })
	if err := s.rt.Forget(t.Context(), exit.Sequence-1); err != nil {
		t.Fatal(err)
	}
	if n := count(s.watch(t).all(), spec.ID, runtime.ExitedEvent); n != 1 {
		t.Errorf("after what came before was acknowledged: %d exits", n)
	}
	if err := s.rt.Forget(t.Context(), max(exit.Sequence, last.Sequence)); err != nil {
		t.Fatal(err)
	}
	if n := count(s.watch(t).all(), spec.ID, runtime.ExitedEvent); n != 0 {
		t.Errorf("after it was acknowledged: %d exits", n)
	}
}

func manyExitsBecomeASummary(t *testing.T, s *suite) {
	kept := cmp.Or(s.h.ExitsKept, 256)
	exits := kept + 44
	spec := s.spec("crash", "exit", "3")
	if s.h.Processes {
		spec.Command = []string{"sh", "-c", "exit 3"} // quicker than this program
	}
	spec.Restart = runtime.Restart{
		Policy: runtime.RestartAlways, Min: time.Millisecond, Max: time.Millisecond, Limit: exits - 1, Window: time.Hour,
	}
	live := s.watch(t)
	if s.h.BackOff == nil {
		s.start(t, spec)
		if status := live.phase(t, spec.ID, runtime.GenerationFailed); status.Restarts != exits-1 {
			t.Errorf("%d restarts are reported, want %d", status.Restarts, exits-1)
		}
	} else { // each takes its time there: many at once
		spec.Replicas = 10
		s.start(t, spec)
		live.until(t, "they exit", func(events []runtime.Event) bool { return count(events, spec.ID, runtime.ExitedEvent) >= exits })
		s.stop(t, spec.ID, runtime.StopRequest{})
		live.phase(t, spec.ID, runtime.GenerationStopped)
	}
	summed, told := 0, 0
	attempts := map[int]int{} // by replica
	for _, e := range s.watch(t).all() {
		switch e.Kind {
		case runtime.SummaryEvent:
			summed = e.Summary
			attempts[0] = e.Summary
		case runtime.ExitedEvent:
			told++
			last, again := attempts[e.Instance.Replica]
			if attempts[e.Instance.Replica] = e.Instance.Attempt; s.h.BackOff == nil && (again && e.Instance.Attempt != last+1 || e.Exit.Code != 3) { // elsewhere a stop ends some
				t.Fatalf("exit of attempt %d with code %d after attempt %d", e.Instance.Attempt, e.Exit.Code, last)
			}
		}
	}
	if all := count(live.all(), spec.ID, runtime.ExitedEvent); told != kept || summed != all-kept {
		t.Errorf("%d exits are told of %d, and %d summed up", told, all, summed)
	}
}

func exitsWhileNobodyWatches(t *testing.T, s *suite) {
	for i := range 5 {
		s.start(t, s.spec(fmt.Sprint("job", i), "exit", fmt.Sprint(40+i)))
	}
	w := s.watch(t) // some have exited, some are about to
	for i := range 5 {
		id := s.spec(fmt.Sprint("job", i), "exit").ID
		if exit := w.exited(t, id, 1); exit.Code != 40+i || exit.Signal != "" || exit.Lost {
			t.Errorf("%s: %+v", id.Service, exit)
		}
	}
}

func exitCodesAndSignals(t *testing.T, s *suite) {
	w := s.watch(t)
	for i, test := range []struct {
		verb, arg string
		want      runtime.Exit
	}{
		{"exit", "0", runtime.Exit{Code: 0}},
		{"exit", "1", runtime.Exit{Code: 1}},
		{"exit", "143", s.exit143()},
		{"exit", "255", runtime.Exit{Code: 255}},
		{"signal", "1", runtime.Exit{Code: -1, Signal: "SIGHUP"}},
		{"signal", "9", runtime.Exit{Code: -1, Signal: "SIGKILL"}},
		{"signal", "15", runtime.Exit{Code: -1, Signal: "SIGTERM"}},
	} {
		spec := s.spec(fmt.Sprint("job", i), test.verb, test.arg)
		s.start(t, spec)
		got := w.exited(t, spec.ID, 1)
		test.want.Ready = got.Ready
		if got != test.want {
			t.Errorf("%s %s: %+v", test.verb, test.arg, got)
		}
	}
}

// exit143 is not the same as SIGTERM, but where only a shell's word for both
// comes out of a container.
func (s *suite) exit143() runtime.Exit {
	if s.h.Elsewhere {
		return runtime.Exit{Code: -1, Signal: "SIGTERM"}
	}
	return runtime.Exit{Code: 143}
}
