package ipc

import (
	"context"
	"fmt"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// Forward holds ports for services of another environment.
func (h handlers) Forward(ctx context.Context, req *steadpb.ForwardRequest) (*steadpb.ForwardResponse, error) {
	var v violations
	v.selection(req.GetSelection())
	if err := v.err(); err != nil {
		return nil, err
	}
	f, ok := h.backend.(Forwarder)
	if !ok {
		return nil, fmt.Errorf("this daemon forwards nothing: %w", runtime.Unsupported)
	}
	c, err := resolve(h.backend.Present(), req.GetSelection())
	if err != nil {
		return nil, err
	}
	ports, err := f.Forward(ctx, c.names)
	if err != nil {
		return nil, err
	}
	out := &steadpb.ForwardResponse{}
	for _, p := range ports {
		out.Ports = append(out.Ports, &steadpb.Forwarded{Service: p.Service, Port: p.Port, Address: p.Address})
	}
	return out, nil
}

func forwardedOf(sent []*steadpb.Forwarded) []Forwarded {
	var out []Forwarded
	for _, p := range sent {
		out = append(out, Forwarded{p.GetService(), p.GetPort(), p.GetAddress()})
	}
	return out
}
