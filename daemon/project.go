package daemon

import (
	"context"
	"path/filepath"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Local is the name of the environment at home.
const Local = "local"

// Project is a manifest as it was last applied.
type Project struct {
	ID          string
	Name        string // as the manifest has it
	Shown       string // unique on this daemon: Name, or Name-directory for a second checkout
	Directory   string
	File        string
	Environment []string // KEY=VALUE that its services inherit
	Shell       []string // names of those that are the login shell's, not the caller's
	// Remote are services that run somewhere else: see LoadRequest.
	Remote   map[string]map[string]string `json:",omitempty"`
	Sources  map[string]string            // texts of the manifest and what it includes, by path, as last applied
	Services map[string]Service
}

// Service is one service of a Project, resolved.
type Service struct {
	Name      string
	Plan      supervisor.Plan
	Spec      runtime.Spec
	Build     *runtime.Spec
	Profiles  []string
	URLs      []string
	Published []Published // its ports as callers see them
	Watch     Watch
	EnvFiles  []string // absolute; whose change gives it a new generation
	// BuildTimeout is how long Build may take; Matchers find in its output, and
	// in the service's, what no known format does.
	BuildTimeout time.Duration
	Matchers     []Matcher
	Origins      map[string]string // of Spec.Environment: file:line, or "stead"; none: passed on from the caller
	Taken        map[string]int    // by port: the number that the manifest fixes, and that somebody else has
}

// Loader reads a manifest.
type Loader func(ctx context.Context, req LoadRequest) (Loaded, error)

// LoadRequest names a manifest.
type LoadRequest struct {
	Directory   string
	File        string
	Environment []string
	Gateway     bool // there is one to hold published ports
	Profiles    []string
	Services    []string
	AutoPort    func(project, service, port string) (int, error)
	// Taken says why a port that the manifest fixes cannot be had, "" when it can.
	Taken func(project, service, port string, number int) string
	// Sources, when set, are read instead of the manifest's files.
	Sources map[string]string
	// Remote are services of the manifest that run somewhere else, with where
	// their ports are reached, by name: what depends on them need not wait.
	Remote map[string]map[string]string
	// Purpose is what the manifest is read for, and Agreed what the user has
	// agreed to for that: see UpRequest.
	Purpose Purpose
	Agreed  string
}

// Purpose is what a manifest is read for.
type Purpose int

// The purposes.
const (
	PurposeCheck Purpose = iota // nothing follows from it
	PurposeLook                 // the runtime is asked what it would do
	PurposeApply                // it is made true
)

// Loaded is a manifest that was read.
type Loaded struct {
	Project  Project
	Order    []string // all services, dependencies first
	Wanted   []string // what LoadRequest.Services and Profiles select
	Warnings []runtime.Diagnostic
	// Elsewhere says that services run at another place than they did: what
	// ran once has done so there.
	Elsewhere bool
}

// shownName returns a name for p that no other project has.
func shownName(p Project, others map[string]Project) string {
	taken := map[string]bool{}
	for id, other := range others {
		if id != p.ID {
			taken[other.Shown] = true
		}
	}
	for _, name := range []string{p.Name, p.Name + "-" + filepath.Base(p.Directory)} {
		if !taken[name] {
			return name
		}
	}
	return p.ID
}

func plans(p Project) map[string]supervisor.Plan {
	plans := make(map[string]supervisor.Plan, len(p.Services))
	for name, s := range p.Services {
		plan := s.Plan
		plan.Spec = s.Spec.Hash()
		plans[name] = plan
	}
	return plans
}

// name names a service of this daemon's environment.
func (d *Daemon) name(project, service string) supervisor.Name {
	return supervisor.Name{Environment: d.environment, Project: project, Service: service}
}

// serviceName names a service at home, which alone has a gateway.
func serviceName(project, service string) supervisor.Name {
	return supervisor.Name{Environment: Local, Project: project, Service: service}
}

// inherited is what services of a project inherit. Elsewhere than at home that
// is nothing: nobody knows who applied it last, and from where.
func (d *Daemon) inheritedBy(p Project) []string {
	if d.environment != Local {
		return nil
	}
	return p.Environment
}

// Matcher is a pattern (RE2) for diagnostics in lines of output, with the
// numbers of its groups, 0 for none: see daemon/build.
type Matcher struct {
	Pattern                               string
	File, Line, Column, Severity, Message int
	Level                                 runtime.Severity
}

// Watch says which files' change reloads a service: see daemon/manifest.
type Watch struct {
	Mode   string // "auto", "paths"; "none" or empty: none
	Dir    string
	Paths  []string
	Ignore []string
	Poll   bool
}
