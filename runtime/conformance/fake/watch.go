package fake

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// watcher is one Watch. Its queue is guarded by Runtime.mu.
type watcher struct {
	queue []runtime.Event
	more  chan struct{} // holds one token while there is something new
}

func (w *watcher) wake() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// report numbers an event and hands it to all watchers.
func (r *Runtime) report(e runtime.Event) runtime.Event {
	r.sequence++
	e.Sequence, e.Time = r.sequence, time.Now()
	if e.Kind != runtime.GenerationEvent {
		e.ID = e.Instance.ID
	}
	for w := range r.watchers {
		w.queue = append(w.queue, e)
		w.wake()
	}
	return e
}

func (r *Runtime) reportGeneration(g *generation) {
	g.changed = r.report(g.event()).Sequence
}

func (g *generation) event() runtime.Event {
	status := g.status
	return runtime.Event{
		Sequence: g.changed, Time: time.Now(), Kind: runtime.GenerationEvent,
		ID: g.spec.ID, Generation: &status,
	}
}

// present is what a new Watch hears first.
func (r *Runtime) present() []runtime.Event {
	var events []runtime.Event
	for _, g := range slices.SortedFunc(maps.Values(r.generations), byID) {
		events = append(events, g.event())
		if g.summary > 0 {
			events = append(events, runtime.Event{
				Sequence: g.summed, Time: time.Now(), Kind: runtime.SummaryEvent, ID: g.spec.ID, Summary: g.summary,
			})
		}
		events = append(events, g.exits...)
		for _, rep := range g.replicas {
			if rep.live && rep.started != nil {
				events = append(events, *rep.started)
			}
			if rep.live && rep.ready != nil {
				events = append(events, *rep.ready)
			}
		}
	}
	return append(events, runtime.Event{Sequence: r.sequence, Time: time.Now(), Kind: runtime.SyncedEvent})
}

func byID(a, b *generation) int { return cmp.Compare(a.spec.ID.String(), b.spec.ID.String()) }

// Watch implements runtime.Runtime.
func (r *Runtime) Watch(ctx context.Context, fn func(runtime.Event) error) error {
	w := &watcher{more: make(chan struct{}, 1)}
	r.mu.Lock()
	w.queue = r.present()
	r.watchers[w] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, w)
	}()
	for {
		r.mu.Lock()
		events, shut := w.queue, r.shut
		w.queue = nil
		r.mu.Unlock()
		for _, e := range events {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := fn(e); err != nil {
				return err
			}
		}
		if shut {
			return fmt.Errorf("the runtime was shut down: %w", runtime.Unavailable)
		}
		select {
		case <-w.more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Forget implements runtime.Runtime.
func (r *Runtime) Forget(ctx context.Context, sequence uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.note(ctx, Call{Method: "Forget", Sequence: sequence}); err != nil {
		return err
	}
	for id, g := range r.generations {
		g.exits = slices.DeleteFunc(g.exits, func(e runtime.Event) bool { return e.Sequence <= sequence })
		if g.summed <= sequence {
			g.summary = 0
		}
		if g.status.Phase.Final() && g.changed <= sequence {
			delete(r.generations, id)
		}
	}
	return nil
}
