package split

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stead-dev/stead/runtime"
)

// numbers are those of the events that were handed on, over all of both
// runtimes. They rise by one with each, also in the present: Forget is told
// only what was in order.
type numbers struct {
	mu    sync.Mutex
	last  uint64
	marks []mark // one for each number, from the last one forgotten on
}

// mark is up to where both runtimes were heard when a number was given. While
// a present is told that is nowhere: it comes in no order.
type mark struct{ number, here, there uint64 }

// give returns the next number.
func (n *numbers) give(here, there uint64) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	if k := len(n.marks); k > 0 && n.marks[k-1].here == here && n.marks[k-1].there == there {
		n.marks[k-1].number = n.last // a present may be long
	} else {
		n.marks = append(n.marks, mark{n.last, here, there})
	}
	return n.last
}

// upTo returns what a number stands for, and lets go of what is before.
func (n *numbers) upTo(number uint64) mark {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found mark
	for len(n.marks) > 0 && n.marks[0].number <= number {
		found = n.marks[0]
		n.marks = n.marks[1:]
	}
	return found
}

// side is one runtime while it is watched.
type side struct {
	heard  uint64 // up to where all has come; 0 while the present is told
	synced bool
}

// Watch implements runtime.Runtime. Synced comes when both are.
func (r *Runtime) Watch(ctx context.Context, fn func(runtime.Event) error) error {
	var mu sync.Mutex // calls of fn never overlap; also guards what follows
	here, there := &side{}, &side{synced: r.there == nil}
	take := func(s *side) func(runtime.Event) error {
		return func(e runtime.Event) error {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == runtime.SyncedEvent {
				if s.synced = true; !here.synced || !there.synced {
					s.heard = e.Sequence
					return nil
				}
			}
			if s.synced {
				s.heard = max(s.heard, e.Sequence)
			}
			e.Sequence = r.numbers.give(here.heard, there.heard)
			return fn(e)
		}
	}
	watching, ctx := errgroup.WithContext(ctx)
	watching.Go(func() error { return ended(r.here.Watch(ctx, take(here)), "here") })
	if r.there != nil {
		watching.Go(func() error { return ended(r.there.Watch(ctx, take(there)), "there") })
	}
	err := watching.Wait()
	r.mu.Lock()
	shut := r.shut
	r.mu.Unlock()
	if shut != nil {
		<-shut // whoever hears of the end closes the connections, which the other one still needs
	}
	return err
}

// ended has a Watch that ended without a reason end the other one too.
func ended(err error, where string) error {
	if err == nil {
		return fmt.Errorf("the runtime %s closed the connection: %w", where, runtime.Unavailable)
	}
	return err
}

// Forget implements runtime.Runtime.
func (r *Runtime) Forget(ctx context.Context, sequence uint64) error {
	to := r.numbers.upTo(sequence)
	if to.here > 0 {
		if err := r.here.Forget(ctx, to.here); err != nil {
			return err
		}
	}
	if to.there > 0 && r.there != nil {
		return r.there.Forget(ctx, to.there)
	}
	return nil
}
