package ipc

import (
	"context"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// Status returns the present.
func (h handlers) Status(_ context.Context, req *steadpb.StatusRequest) (*steadpb.StatusResponse, error) {
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
	for _, n := range c.names {
		out.Services = append(out.Services, serviceView(p, n))
	}
	return out, nil
}
