package process

import (
	"context"
	"fmt"
	goruntime "runtime"
	"sync"
	"syscall"

	"github.com/stead-dev/stead/runtime"
)

// Inspect implements runtime.Runtime. Outside of Linux nothing is known of
// debuggers: every instance seems to run, and CapabilityInspect is missing.
func (r *Runtime) Inspect(_ context.Context, ids []runtime.ID) ([]runtime.Inspection, error) {
	var live []*instance
	for _, id := range ids {
		live = append(live, r.live(id)...)
	}
	all := make([]runtime.Inspection, len(live))
	var work sync.WaitGroup
	share := max(inspectShare, (len(live)+goruntime.GOMAXPROCS(0)-1)/goruntime.GOMAXPROCS(0))
	for from := 0; from < len(live); from += share {
		part := live[from:min(from+share, len(live))]
		work.Go(func() { // ends when it has looked at its part
			for i, in := range part {
				all[from+i] = runtime.Inspection{Instance: in.id, Halted: in.halted()}
			}
		})
	}
	work.Wait()
	return all, nil
}

// inspectShare is how many instances are worth a core of their own: looking at
// them takes longer than waking one, and somebody waits for a status.
const inspectShare = 10

// Signal implements runtime.Runtime.
func (r *Runtime) Signal(_ context.Context, id runtime.ID, name string) error {
	sig, ok := signalNamed(name)
	if !ok || name == "" {
		err := fmt.Errorf("signal %s: unknown signal %q: %w", id.Label(), name, runtime.Invalid)
		return runtime.WithHint(err, "use a name like HUP or USR1")
	}
	r.mu.Lock()
	_, lost := r.lost[id]
	known := lost || r.keepers[id] != nil
	r.mu.Unlock()
	if !known {
		return fmt.Errorf("signal %s: no such generation: %w", id.Label(), runtime.NotFound)
	}
	reached := 0
	for _, in := range r.live(id) {
		sent, err := r.children.signalFirst(in.child, sig)
		if err != nil {
			return fmt.Errorf("signal %s: %w: %w", id.Label(), err, runtime.Unavailable)
		}
		if sent {
			reached++
		}
	}
	if reached == 0 {
		return fmt.Errorf("signal %s: it does not run now: %w", id.Label(), runtime.Unavailable)
	}
	return nil
}

// live returns the instances of the generation that run.
func (r *Runtime) live(id runtime.ID) []*instance {
	r.mu.Lock()
	k := r.keepers[id]
	r.mu.Unlock()
	if k == nil {
		return nil
	}
	return k.screens.all()
}

// halted says what keeps the instance from running, "" for nothing.
func (in *instance) halted() string {
	select {
	case <-in.child.exited:
		return "" // the pid may be another's
	default:
		return haltedTree(in.child.pid, in.tree.cgroup)
	}
}

// signalFirst sends sig to the process alone, and reports whether it is there.
func (c *children) signalFirst(one *child, sig syscall.Signal) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live[one.pid] != one {
		return false, nil
	}
	return true, syscall.Kill(one.pid, sig)
}
