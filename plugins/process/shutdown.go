package process

import (
	"context"
	"fmt"
	"os/signal"

	"github.com/stead-dev/stead/runtime"
)

// Shutdown implements runtime.Runtime. When ctx ends first, what still runs
// goes on running, and no new generation is accepted; Close ends that at once.
// After a Shutdown that succeeded Done is closed, and Close is still due.
func (r *Runtime) Shutdown(ctx context.Context) error {
	if err := r.stopAll(ctx, runtime.StopRequest{}); err != nil {
		return err
	}
	r.finish()
	return nil
}

// Close ends whatever still runs without grace, and releases all that the
// Runtime holds. Every Watch ends with Unavailable.
func (r *Runtime) Close() {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if closed {
		<-r.done
		return
	}
	_ = r.stopAll(context.Background(), runtime.StopRequest{Kill: true}) // fails only with its context
	r.mu.Lock()
	for s := range r.sessions {
		s.abandon()
	}
	r.mu.Unlock()
	r.work.Wait()
	if r.lender != nil {
		r.lender.Close()
	}
	r.listeners.close()
	r.sweeper.close()
	r.children.close()
	r.journal.Close()
	r.records.close()
	r.cgroups.close()
	r.oom.close()
	signal.Stop(r.pipes)
	r.null.Close()
	r.finish()
}

func (r *Runtime) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.done:
	default:
		close(r.done)
	}
}

// stopAll returns when no process is left that this one is responsible for.
func (r *Runtime) stopAll(ctx context.Context, how runtime.StopRequest) error {
	r.mu.Lock()
	r.closing = true
	var waits []<-chan struct{}
	for _, k := range r.keepers {
		k.post(fact{kind: factStop, stop: how})
		waits = append(waits, k.finished)
	}
	for s := range r.sessions {
		s.kill()
		waits = append(waits, s.ended)
	}
	r.mu.Unlock()
	for _, wait := range append(waits, nil) {
		if wait == nil {
			wait = r.sweeper.endAll() // orphans nobody could be found for
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return fmt.Errorf("shut down: services still run: %w", ctx.Err())
		}
	}
	return nil
}
