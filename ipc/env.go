package ipc

import (
	"context"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// Env returns the environment of one service.
func (h handlers) Env(ctx context.Context, req *steadpb.EnvRequest) (*steadpb.EnvResponse, error) {
	var v violations
	v.selection(req.GetSelection())
	v.environment("environment", req.GetEnvironment())
	if err := v.err(); err != nil {
		return nil, err
	}
	c, err := resolve(h.backend.Present(), req.GetSelection())
	if err != nil {
		return nil, err
	}
	name, err := c.one()
	if err != nil {
		return nil, err
	}
	res, err := h.backend.Env(ctx, name, EnvRequest{
		ShowSecrets: req.GetShowSecrets(), Refresh: req.GetRefresh(), Environment: req.GetEnvironment(),
	})
	if err != nil {
		return nil, err
	}
	out := &steadpb.EnvResponse{
		Project: valid(res.Project.ID), Name: valid(res.Project.Name), Service: name.Service,
		Warnings: diagnosticViews(res.Warnings),
	}
	for _, one := range res.Variables {
		out.Variables = append(out.Variables, &steadpb.EnvVariable{
			Name: valid(one.Name), Value: valid(one.Value), Origin: valid(one.Origin), Masked: one.Masked,
		})
	}
	return out, nil
}
