package kubernetes

import (
	"context"
	"fmt"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// drainTime is how long Stop waits for endpoints to leave. The cluster does
// that within a second; when it does not, it is not well, and the hook before
// SIGTERM has to be enough.
const drainTime = 30 * time.Second

// Stop implements runtime.Runtime. Kill is one second of grace: with none the
// cluster would forget pods that may still run. With Drain, the objects go when
// no endpoint of the service is one of the generation's pods any more, unless
// it is the one that is routed: then its pods' own end takes the endpoints out.
func (r *Runtime) Stop(ctx context.Context, id runtime.ID, how runtime.StopRequest) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := r.cluster.wait(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", id.Label(), err)
	}
	if err := r.lease.refused(); err != nil {
		return fmt.Errorf("stop %s: %w", id.Label(), err)
	}
	known, ok := r.ledger.record(id)
	if !ok {
		return fmt.Errorf("stop %s: no such generation: %w", id, runtime.NotFound)
	}
	if err := r.lease.hold(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", id.Label(), err)
	}
	drain := false
	if how.Drain && !how.Kill && len(known.Ports) > 0 {
		routed, err := r.routed(ctx, id)
		if err != nil {
			return fmt.Errorf("stop %s: %w", id.Label(), err)
		}
		drain = routed != id.Number
	}
	release := r.ledger.claim(id)
	defer release()
	if !r.ledger.stop(id, how, drain) {
		return nil // it has ended, or drains already
	}
	if drain {
		r.drain(id)
		return nil
	}
	if err := r.end(ctx, id); err != nil {
		return fmt.Errorf("stop %s: %w", id.Label(), err)
	}
	return nil
}

// end removes a generation. Pods that have less than their own grace go first:
// asked to end by what follows from the removal, they would be given all of it,
// and a kubelet that has begun to wait does not heed a shorter one any more
// (kubernetes/kubernetes#113606). What the cluster may make in their place is
// removed at once.
func (r *Runtime) end(ctx context.Context, id runtime.ID) error {
	for _, j := range r.ledger.hurried(id) {
		r.keepLogs(ctx, id, j.pod)
		err := r.endPod(ctx, j)
		r.ledger.did(j, err)
		if err != nil {
			return err
		}
	}
	return r.remove(ctx, id)
}

// drain removes a generation's object once its endpoints are gone.
func (r *Runtime) drain(id runtime.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.work.Go(func() { // ends with the endpoints, by drainTime, or by Close
		limit := time.NewTimer(drainTime)
		defer limit.Stop()
		for {
			changed := r.cluster.endpoints.changed()
			if !r.cluster.endpoints.any(r.ledger.podsOf(id)) {
				break
			}
			select {
			case <-changed:
				continue
			case <-r.ctx.Done():
				return
			case <-limit.C:
				r.log.Warn("endpoints do not leave", "gen", id.String(), "after", drainTime)
			}
			break
		}
		r.ledger.drained(id) // the worker removes it
	})
}

// Forget implements runtime.Runtime. The objects of a generation that ended by
// itself stay, for kubectl to look at, until a later one of the service starts.
func (r *Runtime) Forget(_ context.Context, sequence uint64) error {
	r.ledger.forget(r.journal.Forget(sequence))
	return nil
}

// Listen implements runtime.Runtime.
func (r *Runtime) Listen(_ context.Context, sockets []runtime.Socket) ([]runtime.SocketStatus, error) {
	if len(sockets) == 0 {
		return nil, nil
	}
	return nil, refuse(runtime.Unsupported, "Services take the place of sockets in a cluster", "listen")
}

// Signal implements runtime.Runtime.
func (r *Runtime) Signal(_ context.Context, id runtime.ID, signal string) error {
	if _, ok := signalNumber(signal); !ok || signal == "" {
		return refuse(runtime.Invalid, "use a name like HUP or USR1", "signal %s: no such signal %q", id.Label(), signal)
	}
	return refuse(runtime.Unsupported, "use reload: overlap or restart in this environment", "signal %s: a cluster sends no signals but the one that ends", id.Label())
}

// Inspect implements runtime.Runtime: nobody here sees a debugger.
func (r *Runtime) Inspect(context.Context, []runtime.ID) ([]runtime.Inspection, error) {
	return nil, refuse(runtime.Unsupported, "debug with kubectl debug", "inspect")
}
