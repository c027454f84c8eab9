package kubernetes

import (
	"context"
	"fmt"

	"github.com/stead-dev/stead/runtime"
)

// Route implements runtime.Runtime: the Service of id's service selects its
// pods from now on, by one write. A generation without ports has none.
func (r *Runtime) Route(ctx context.Context, id runtime.ID) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := r.cluster.wait(ctx); err != nil {
		return fmt.Errorf("route %s: %w", id.Label(), err)
	}
	if err := r.lease.refused(); err != nil { // else it is taken where there is something to write
		return fmt.Errorf("route %s: %w", id.Label(), err)
	}
	known, ok := r.ledger.record(id)
	if !ok {
		return fmt.Errorf("route %s: no such generation: %w", id, runtime.NotFound)
	}
	if len(known.Ports) == 0 {
		return nil
	}
	o, err := one("Service", service(id, known.Ports)).finish(patches{"Service": known.Service})
	if err != nil {
		return fmt.Errorf("route %s: %w", id.Label(), err)
	}
	if _, err := r.ensure(ctx, o); err != nil {
		return fmt.Errorf("route %s: %w", id.Label(), err)
	}
	return nil
}
