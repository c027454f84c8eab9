package main

import (
	"context"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/daemon/manifest"
	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
)

// Preview implements ipc.Previewer.
func (b backend) Preview(ctx context.Context, req ipc.UpRequest, kind string) (ipc.PreviewResult, error) {
	r, err := b.d.Preview(ctx, upRequest(req), runtime.PreviewKind(kind))
	return ipc.PreviewResult{Objects: r.Objects, Built: r.Built, Warnings: r.Warnings}, err
}

// Environments implements ipc.Previewer: those of the manifest, after the one
// at home. The one that this daemon is for has what is in use.
func (b backend) Environments(_ context.Context, req ipc.UpRequest) ([]ipc.Environment, error) {
	asked := manifest.Request{Directory: req.Directory, File: req.File, Environment: req.Environment, Gateway: true, AutoPort: anyPort()}
	if b.where != nil {
		asked.Target = b.where.name
	}
	project, _, err := manifest.Load(asked)
	if err != nil {
		return nil, err
	}
	all := []ipc.Environment{{Name: daemon.Local, Runtime: "process", Watch: true, Agreed: true}}
	for _, t := range project.Environments {
		e := ipc.Environment{
			Name: t.Name, Runtime: t.Runtime, Context: t.Context, Namespace: t.Namespace,
			Kubeconfig: t.Kubeconfig, Registry: t.Registry, Watch: t.Watch, Agreed: t.Context != "",
		}
		if b.where != nil && b.where.name == t.Name {
			next, err := b.where.next(t, req.Environment)
			if err != nil {
				return nil, err
			}
			e.Context, e.Kubeconfig, e.Agreed = next.Context, next.Kubeconfig, next.Own || next.Agreed
		}
		all = append(all, e)
	}
	return all, nil
}

// anyPort stands for a port that nobody is going to listen on.
func anyPort() func(project, service, port string) (int, error) {
	next := 65535
	return func(string, string, string) (int, error) {
		next--
		return next, nil
	}
}
