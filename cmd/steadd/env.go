package main

import (
	"context"

	"github.com/stead-dev/stead/daemon/environ"
	"github.com/stead-dev/stead/daemon/manifest"
	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

func (b backend) Schema() string { return manifest.Schema() }

// Env leaves secrets out unless they are asked for, so that they do not even
// travel.
func (b backend) Env(ctx context.Context, name supervisor.Name, req ipc.EnvRequest) (ipc.EnvResult, error) {
	var warnings []runtime.Diagnostic
	if req.Refresh {
		var err error
		if warnings, err = b.d.RefreshEnvironment(ctx, name.Project, req.Environment); err != nil {
			return ipc.EnvResult{}, err
		}
	}
	r, err := b.d.Env(ctx, name)
	if err != nil {
		return ipc.EnvResult{}, err
	}
	out := ipc.EnvResult{
		Project:  ipc.Project{ID: r.Project.ID, Name: r.Project.Shown, Directory: r.Project.Directory, File: r.Project.File},
		Warnings: append(warnings, r.Warnings...),
	}
	for _, v := range r.Variables {
		one := ipc.EnvVariable{Name: v.Name, Value: v.Value, Origin: v.Origin}
		if !req.ShowSecrets && environ.Secret(v.Name, v.Value) {
			one.Value, one.Masked = "", true
		}
		out.Variables = append(out.Variables, one)
	}
	return out, nil
}
