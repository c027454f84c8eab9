package kubernetes

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stead-dev/stead/runtime"
)

// Shutdown implements runtime.Runtime: it removes what there is of the
// project, and returns when the pods are gone. Claims stay, for what is on them
// is the user's, and so does the namespace.
func (r *Runtime) Shutdown(ctx context.Context) error {
	if err := r.cluster.wait(ctx); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	if err := r.lease.refused(); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	all := r.ledger.all()
	if len(all) > 0 {
		if err := r.lease.hold(ctx); err != nil {
			return fmt.Errorf("shut down: %w", err)
		}
	}
	for _, id := range all {
		r.ledger.stop(id, runtime.StopRequest{}, false) // the worker removes them
	}
	for !r.ledger.idle() {
		if !r.pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("shut down: services still run: %w", ctx.Err())
		}
	}
	if err := r.removeServices(ctx); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	if err := r.lease.remove(ctx); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	r.finish()
	return nil
}

// removeServices removes what is there once for each service.
func (r *Runtime) removeServices(ctx context.Context) error {
	for _, kind := range []string{"Service", "PodDisruptionBudget", "ServiceAccount"} {
		list, err := listed(ctx, r.client, r.namespace, kind, r.ownership())
		if err != nil {
			return r.explain(err, "list %ss", kind)
		}
		for _, one := range list {
			err := r.to(kind).remove(ctx, one.GetName(), metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return r.explain(err, "remove %s %s", kind, one.GetName())
			}
		}
	}
	return nil
}

// Close ends the runtime and leaves the cluster as it is: pods go on. Every
// Watch ends with Unavailable.
func (r *Runtime) Close() {
	r.mu.Lock()
	r.closing, r.closed = true, true
	r.mu.Unlock()
	r.cancel()
	r.work.Wait()
	r.journal.Close()
	r.finish()
}
