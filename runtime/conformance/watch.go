package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// watch is a Watch whose events are kept.
type watch struct {
	suite  *suite
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	events []runtime.Event
	grown  chan struct{} // closed and made anew with each event
}

// watch begins to watch, and returns when Synced has come. It ends with the
// test, or by w.close; then the order of the events is checked.
func (s *suite) watch(t *testing.T) *watch {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{suite: s, cancel: cancel, done: make(chan struct{}), grown: make(chan struct{})}
	rt := s.rt
	go func() { // ends by cancel, or when the runtime ends
		defer close(w.done)
		err := rt.Watch(ctx, w.add)
		if ctx.Err() != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled watch returned %v", err)
		}
	}()
	t.Cleanup(func() { w.close(t) })
	w.wait(t, "synced", func(e runtime.Event) bool { return e.Kind == runtime.SyncedEvent })
	return w
}

func (w *watch) close(t *testing.T) {
	w.cancel()
	<-w.done
	checkOrder(t, w.all())
}

func (w *watch) add(e runtime.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	if e.Started != nil && e.Started.PID > 0 {
		w.suite.seen.add(e.Started.PID)
	}
	close(w.grown)
	w.grown = make(chan struct{})
	return nil
}

func (w *watch) all() []runtime.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// until waits for a state of affairs.
func (w *watch) until(t *testing.T, what string, ok func([]runtime.Event) bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		w.mu.Lock()
		events, grown := slices.Clone(w.events), w.grown
		w.mu.Unlock()
		if ok(events) {
			return
		}
		select {
		case <-grown:
		case <-limit:
			t.Fatalf("%s: not within %s; events:\n%s", what, patience, format(events))
		}
	}
}

// wait returns the first event that is wanted.
func (w *watch) wait(t *testing.T, what string, wanted func(runtime.Event) bool) runtime.Event {
	t.Helper()
	var found runtime.Event
	w.until(t, what, func(events []runtime.Event) bool {
		i := slices.IndexFunc(events, wanted)
		if i >= 0 {
			found = events[i]
		}
		return i >= 0
	})
	return found
}

func (w *watch) started(t *testing.T, id runtime.ID, attempt int) runtime.Event {
	t.Helper()
	return w.wait(t, fmt.Sprintf("attempt %d of %s starts", attempt, id.Label()), func(e runtime.Event) bool {
		return e.Kind == runtime.StartedEvent && e.Instance.ID == id && e.Instance.Attempt == attempt
	})
}

func (w *watch) ready(t *testing.T, id runtime.ID) runtime.Event {
	t.Helper()
	return w.wait(t, id.Label()+" is ready", func(e runtime.Event) bool {
		return e.Kind == runtime.ReadyEvent && e.Instance.ID == id && e.Ready.Ready
	})
}

func (w *watch) exited(t *testing.T, id runtime.ID, attempt int) runtime.Exit {
	t.Helper()
	return *w.wait(t, fmt.Sprintf("attempt %d of %s exits", attempt, id.Label()), func(e runtime.Event) bool {
		return e.Kind == runtime.ExitedEvent && e.Instance.ID == id && e.Instance.Attempt == attempt
	}).Exit
}

func (w *watch) phase(t *testing.T, id runtime.ID, phase runtime.GenerationPhase) runtime.GenerationStatus {
	t.Helper()
	return *w.wait(t, fmt.Sprintf("%s is in phase %d", id.Label(), phase), func(e runtime.Event) bool {
		return e.Kind == runtime.GenerationEvent && e.ID == id && e.Generation.Phase == phase
	}).Generation
}

// count of events of a kind.
func count(events []runtime.Event, id runtime.ID, kind runtime.EventKind) int {
	n := 0
	for _, e := range events {
		if e.Kind == kind && e.ID == id {
			n++
		}
	}
	return n
}

// checkOrder holds for every Watch: see runtime.Event.
func checkOrder(t *testing.T, events []runtime.Event) {
	t.Helper()
	type state struct{ started, exited bool }
	instances := map[runtime.InstanceID]state{}
	known := map[runtime.ID]bool{}
	newest, synced := uint64(0), false
	for i, e := range events {
		fail := func(why string) {
			t.Errorf("event %d: %s:\n%s", i, why, format(events[max(0, i-10):i+1]))
		}
		if e.Kind == runtime.SyncedEvent {
			if synced {
				fail("synced twice")
			}
			if synced = true; e.Sequence < newest {
				fail("synced has not the newest sequence")
			}
			newest = e.Sequence
			continue
		}
		if synced && e.Sequence <= newest {
			fail("the sequence does not rise")
		}
		newest = max(newest, e.Sequence)
		if e.Time.IsZero() {
			fail("without a time")
		}
		if e.Kind == runtime.GenerationEvent {
			known[e.ID] = true
			continue
		}
		if !known[e.ID] {
			fail("before the first event of its generation")
		}
		if e.Kind == runtime.SummaryEvent {
			continue
		}
		if e.Instance.ID != e.ID {
			fail("instance and generation differ")
		}
		s := instances[e.Instance]
		switch {
		case s.exited:
			fail("after its exit")
		case e.Kind == runtime.StartedEvent && s.started:
			fail("started twice")
		case e.Kind == runtime.ReadyEvent && !s.started:
			fail("ready before it was started")
		}
		s.started = s.started || e.Kind == runtime.StartedEvent
		s.exited = e.Kind == runtime.ExitedEvent
		instances[e.Instance] = s
	}
}

// format is one line per event.
func format(events []runtime.Event) string {
	text := ""
	for _, e := range events {
		text += fmt.Sprintf("  %4d ", e.Sequence)
		switch e.Kind {
		case runtime.GenerationEvent:
			text += fmt.Sprintf("%s generation %+v\n", e.ID.Label(), *e.Generation)
		case runtime.StartedEvent:
			text += fmt.Sprintf("%s started %+v\n", short(e.Instance), *e.Started)
		case runtime.ReadyEvent:
			text += fmt.Sprintf("%s ready %+v\n", short(e.Instance), *e.Ready)
		case runtime.ExitedEvent:
			text += fmt.Sprintf("%s exited %+v\n", short(e.Instance), *e.Exit)
		case runtime.SummaryEvent:
			text += fmt.Sprintf("%s summary of %d\n", e.ID.Label(), e.Summary)
		default:
			text += fmt.Sprintf("synced (kind %d)\n", e.Kind)
		}
	}
	return text
}

func short(i runtime.InstanceID) string {
	return fmt.Sprintf("%s/%d/%d", i.ID.Label(), i.Replica, i.Attempt)
}
