package ipc

import (
	"context"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Status returns the present.
func (h handlers) Status(ctx context.Context, req *steadpb.StatusRequest) (*steadpb.StatusResponse, error) {
	var v violations
	v.selection(req.GetSelection())
	if err := v.err(); err != nil {
		return nil, err
	}
	p := h.backend.Present()
	c, err := resolve(p, req.GetSelection())
	if err != nil {
		return nil, err
	}
	out := &steadpb.StatusResponse{DaemonProblem: valid(p.Problem), Notes: notes(p, c.names), Services: make([]*steadpb.Service, 0, len(c.names))}
	h.awaitRouted(ctx, p)
	halted := h.halted(ctx, p, c.names)
	for _, n := range c.names {
		view := serviceView(p, n)
		if len(halted) > 0 {
			sayHalted(view, p.State.Service(n), halted)
		}
		out.Services = append(out.Services, view)
	}
	return out, nil
}

// sayHalted adds to a view which instances stand still. Their order is that of
// serviceView.
func sayHalted(view *steadpb.Service, s supervisor.Service, halted map[runtime.InstanceID]string) {
	view.Halted = haltedOf(s, halted)
	next := 0
	for _, g := range s.Generations {
		for _, i := range g.Instances {
			view.Instances[next].Halted = halted[instanceID(s.Name, g.Number, i)]
			next++
		}
	}
}
