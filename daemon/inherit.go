package daemon

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// Finder returns the path of the manifest that a request names.
type Finder func(LoadRequest) (string, error)

// Inheritor finds out what services of a directory inherit, for a caller with
// an environment. It may take seconds, and is never called by the loop.
type Inheritor func(ctx context.Context, directory string, caller []string) (Inherited, error)

// Inherited is what the services of a project inherit.
type Inherited struct {
	Environment []string // KEY=VALUE
	Shell       []string // names of those that are the login shell's, sorted
	Warnings    []runtime.Diagnostic
}

// file is the path of the manifest that a request names.
func (d *Daemon) file(req UpRequest) (string, error) {
	if d.find == nil {
		return req.File, nil
	}
	return d.find(LoadRequest{Directory: req.Directory, File: req.File})
}

// inherited asks the caller's login shell, in the directory of the manifest.
func (d *Daemon) inherited(ctx context.Context, req UpRequest) (Inherited, error) {
	if d.inherit == nil {
		return Inherited{Environment: req.Environment}, nil
	}
	file, err := d.file(req)
	if err != nil {
		return Inherited{}, err
	}
	return d.inherit(ctx, filepath.Dir(file), req.Environment)
}

// withShell adds to an environment what a project has of the login shell.
func withShell(environment []string, p Project) []string {
	out := slices.Clone(environment)
	for _, one := range p.Environment {
		name, _, _ := strings.Cut(one, "=")
		_, shell := slices.BinarySearch(p.Shell, name)
		set := slices.ContainsFunc(environment, func(own string) bool { return strings.HasPrefix(own, name+"=") })
		if shell && !set {
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Compare(a, b) })
	return out
}
