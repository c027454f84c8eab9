package ipc

import (
	"context"
	"fmt"
	"slices"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// previewKinds are those of package runtime, and builds alone.
var previewKinds = []string{
	string(runtime.PreviewRender), string(runtime.PreviewOpen), string(runtime.PreviewDiff), string(runtime.PreviewRemove), string(runtime.PreviewImage), "build",
}

// previewer returns the backend as one that knows of environments.
func (h handlers) previewer() (Previewer, error) {
	if p, ok := h.backend.(Previewer); ok {
		return p, nil
	}
	return nil, fmt.Errorf("this daemon knows of no environments: %w", runtime.Unsupported)
}

// Preview says what would be done with a manifest.
func (h handlers) Preview(ctx context.Context, req *steadpb.PreviewRequest) (*steadpb.PreviewResponse, error) {
	var v violations
	if req.GetKind() != string(runtime.PreviewRemove) {
		v.manifest(req.GetDirectory(), req.GetFile())
	}
	v.names("services", req.GetServices())
	v.names("profiles", req.GetProfiles())
	v.environment("environment", req.GetEnvironment())
	if !slices.Contains(previewKinds, req.GetKind()) {
		v.add("kind: %q is none of %v", req.GetKind(), previewKinds)
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	p, err := h.previewer()
	if err != nil {
		return nil, err
	}
	res, err := p.Preview(ctx, UpRequest{
		Directory: req.GetDirectory(), File: req.GetFile(), Services: req.GetServices(), Profiles: req.GetProfiles(),
		Environment: req.GetEnvironment(), Agreed: req.GetAgreed(),
	}, req.GetKind())
	if err != nil {
		return nil, err
	}
	out := &steadpb.PreviewResponse{Built: res.Built, Warnings: diagnosticViews(res.Warnings)}
	for _, o := range res.Objects {
		out.Objects = append(out.Objects, &steadpb.PreviewObject{
			Kind: valid(o.Kind), Name: valid(o.Name), Service: valid(o.Service), Action: valid(o.Action), Text: valid(o.Text),
		})
	}
	return out, nil
}

// Environments are those that a manifest describes.
func (h handlers) Environments(ctx context.Context, req *steadpb.EnvironmentsRequest) (*steadpb.EnvironmentsResponse, error) {
	var v violations
	v.manifest(req.GetDirectory(), req.GetFile())
	v.environment("environment", req.GetEnvironment())
	if err := v.err(); err != nil {
		return nil, err
	}
	p, err := h.previewer()
	if err != nil {
		return nil, err
	}
	all, err := p.Environments(ctx, UpRequest{Directory: req.GetDirectory(), File: req.GetFile(), Environment: req.GetEnvironment()})
	if err != nil {
		return nil, err
	}
	out := &steadpb.EnvironmentsResponse{}
	for _, e := range all {
		out.Environments = append(out.Environments, &steadpb.Environment{
			Name: e.Name, Runtime: e.Runtime, Context: valid(e.Context), Namespace: e.Namespace, Kubeconfig: valid(e.Kubeconfig),
			Registry: valid(e.Registry), Watch: e.Watch, Agreed: e.Agreed,
		})
	}
	return out, nil
}
