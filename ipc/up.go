package ipc

import (
	"context"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// Up reads a manifest and wants its services up.
func (h handlers) Up(ctx context.Context, req *steadpb.UpRequest) (*steadpb.UpResponse, error) {
	var v violations
	v.manifest(req.GetDirectory(), req.GetFile())
	v.names("services", req.GetServices())
	v.names("profiles", req.GetProfiles())
	v.names("without", req.GetWithout())
	v.environment("environment", req.GetEnvironment())
	if err := v.err(); err != nil {
		return nil, err
	}
	res, err := h.backend.Up(ctx, UpRequest{
		Directory:   req.GetDirectory(),
		File:        req.GetFile(),
		Services:    req.GetServices(),
		Profiles:    req.GetProfiles(),
		Keep:        req.GetKeep(),
		Environment: req.GetEnvironment(),
		Agreed:      req.GetAgreed(),
		TakeOver:    req.GetTakeOver(),
		Without:     req.GetWithout(),
		Remote:      forwardedOf(req.GetRemote()),
	})
	if err != nil {
		return nil, err
	}
	return &steadpb.UpResponse{
		Project:  valid(res.Project),
		Name:     valid(res.Name),
		Services: res.Services,
		Changed:  res.Changed,
		Warnings: diagnosticViews(res.Warnings),
	}, nil
}
