package ipc

import (
	"context"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// Check reads a manifest and changes nothing.
func (h handlers) Check(ctx context.Context, req *steadpb.CheckRequest) (*steadpb.CheckResponse, error) {
	if req.GetSchema() {
		return &steadpb.CheckResponse{Schema: h.backend.Schema()}, nil
	}
	if req.GetPropose() {
		return h.propose(req)
	}
	var v violations
	v.manifest(req.GetDirectory(), req.GetFile())
	v.names("profiles", req.GetProfiles())
	v.environment("environment", req.GetEnvironment())
	if err := v.err(); err != nil {
		return nil, err
	}
	res, err := h.backend.Check(ctx, UpRequest{
		Directory:   req.GetDirectory(),
		File:        req.GetFile(),
		Profiles:    req.GetProfiles(),
		Environment: req.GetEnvironment(),
	})
	if err != nil {
		return nil, err
	}
	return &steadpb.CheckResponse{
		File:        valid(res.File),
		Name:        valid(res.Name),
		Services:    res.Services,
		Diagnostics: diagnosticViews(res.Diagnostics),
	}, nil
}
