package daemon

import (
	"log/slog"
	"testing"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/supervisor"
)

// exitsTold counts how often each instance is told to have ended.
func (h *home) exitsTold() map[string]int {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	told := map[string]int{}
	for _, e := range h.store.events {
		if e.Kind == EventExit {
			told[e.Service+"/"+e.Instance]++
		}
	}
	return told
}

// A daemon that ended after it had committed an exit, and before the runtime
// was told to forget it, made the next one tell of it again.
func TestExitToldAgainByTheNextDaemon(t *testing.T) {
	fails := func(runtime.Spec, runtime.InstanceID) fake.Act { return fake.Act{Exit: &runtime.Exit{Code: 7}} }
	h := newHome(t, fails, service("web"))
	h.deaf = true
	h.detach()
	h.start()
	h.up()
	h.eventually("web failed", phase("web", supervisor.PhaseFailed))
	for range 3 {
		h.detach()
		h.start()
		h.eventually("synced", func(p *Present) bool { return p.State.Synced })
	}
	h.detach()
	if told := h.exitsTold(); told["web/1/0/1"] != 1 {
		t.Errorf("exits told: %v, want web/1/0/1 once", told)
	}
}

// The present is not in the order of sequences: a daemon that let the runtime
// forget up to the newest it had seen lost the exits that were still to come
// when it was killed.
func TestExitLostInTheMiddleOfThePresent(t *testing.T) {
	d := New(Options{Store: newMemory(), Log: slog.New(slog.DiscardHandler)})
	dr := d.newDraft()
	d.apply(dr, message{link: &linkChange{attached: true, nonce: "n"}})
	exit := func(service string, sequence uint64) message {
		id := runtime.InstanceID{ID: runtime.ID{Environment: Local, Project: "p", Service: service, Number: 1}, Attempt: 1}
		return message{report: &runtime.Event{Kind: runtime.ExitedEvent, Sequence: sequence, ID: id.ID, Instance: id, Exit: &runtime.Exit{}}}
	}
	d.apply(dr, exit("late", 90))
	if dr.noted.Sequence != 0 {
		t.Errorf("noted up to %d in the middle of the present", dr.noted.Sequence)
	}
	d.apply(dr, exit("early", 10))
	d.apply(dr, message{report: &runtime.Event{Kind: runtime.SyncedEvent, Sequence: 91}})
	if dr.noted.Sequence != 91 {
		t.Errorf("noted up to %d when the present is complete, want 91", dr.noted.Sequence)
	}
	d.apply(dr, exit("next", 92))
	if dr.noted.Sequence != 92 || len(dr.notes) != 3 {
		t.Errorf("noted up to %d with %d notes, want 92 with 3", dr.noted.Sequence, len(dr.notes))
	}
	// The watcher was too slow: it is sent the present again.
	d.apply(dr, exit("next", 92))
	d.apply(dr, exit("later", 200))
	d.apply(dr, exit("missed", 95))
	if dr.noted.Sequence != 92 || len(dr.notes) != 5 {
		t.Errorf("noted up to %d with %d notes, want 92 with 5", dr.noted.Sequence, len(dr.notes))
	}
	// Another runtime counts from the beginning.
	d.apply(dr, message{link: &linkChange{attached: true, nonce: "m"}})
	d.apply(dr, exit("other", 1))
	if len(dr.notes) != 6 {
		t.Errorf("%d notes, want 6", len(dr.notes))
	}
}

// A runtime that follows one that was killed tells what that had told and
// nobody had made it forget.
func TestExitToldAgainByTheNextRuntime(t *testing.T) {
	store := newMemory()
	d := New(Options{Store: store, Log: slog.New(slog.DiscardHandler), Restored: Restored{Noted: Noted{Runtime: "n", Sequence: 7}}})
	store.events = []Event{{Sequence: 1, Project: "p", Service: "web", Instance: "1/0/1", Kind: EventExit}}
	d.note(Event{Project: "p", Service: "web", Instance: "1/0/2", Kind: EventExit}) // not committed yet
	dr := d.newDraft()
	d.apply(dr, message{link: &linkChange{attached: true, nonce: "m"}})
	for attempt := 1; attempt <= 3; attempt++ {
		id := runtime.InstanceID{ID: runtime.ID{Environment: Local, Project: "p", Service: "web", Number: 1}, Attempt: attempt}
		d.apply(dr, message{report: &runtime.Event{
			Kind: runtime.ExitedEvent, Sequence: uint64(attempt), ID: id.ID, Instance: id, Exit: &runtime.Exit{Lost: attempt == 3},
		}})
	}
	if len(dr.notes) != 1 || dr.notes[0].Instance != "1/0/3" {
		t.Errorf("told: %+v, want the exit of 1/0/3 alone", dr.notes)
	}
}
