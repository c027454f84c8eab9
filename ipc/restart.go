package ipc

import (
	"context"
	"fmt"
	"slices"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Restart asks for a new generation of services. Without names that is every
// service that is wanted up; a name that is not is Conflict.
func (h handlers) Restart(ctx context.Context, req *steadpb.RestartRequest) (*steadpb.RestartResponse, error) {
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
	if c.names, err = restartable(p, c); err != nil {
		return nil, err
	}
	if len(c.names) > 0 {
		if err := h.backend.Restart(ctx, c.names); err != nil {
			return nil, err
		}
	}
	return &steadpb.RestartResponse{Project: valid(c.projectID()), Services: c.services()}, nil
}

func restartable(p *Present, c chosen) ([]supervisor.Name, error) {
	var down []string
	names := slices.DeleteFunc(slices.Clone(c.names), func(n supervisor.Name) bool {
		s := p.State.Services[n]
		if s.Want.Up && !s.Gone {
			return false
		}
		down = append(down, n.Service)
		return true
	})
	if len(down) > 0 && !c.all {
		return nil, runtime.WithHint(fmt.Errorf("restart %s: not wanted up: %w", list(down), runtime.Conflict),
			"start it with `stead up "+down[0]+"`")
	}
	return names, nil
}
