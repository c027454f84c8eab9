package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/daemon/environ"
	"github.com/stead-dev/stead/daemon/manifest"
	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
)

func find(req daemon.LoadRequest) (string, error) {
	return manifest.Find(manifest.Request{Directory: req.Directory, File: req.File})
}

// Propose implements ipc.Proposer.
func (backend) Propose(directory string) ipc.Proposal {
	var p ipc.Proposal
	p.File, _ = manifest.Find(manifest.Request{Directory: directory}) // none is what there mostly is
	p.Text, p.Found = manifest.Propose(directory)
	return p
}

// load reads a manifest for the daemon.
func load(_ context.Context, req daemon.LoadRequest) (daemon.Loaded, error) {
	p, warnings, err := manifest.Load(manifest.Request{
		Directory: req.Directory, File: req.File, Sources: req.Sources, Environment: req.Environment,
		Profiles: req.Profiles, AutoPort: req.AutoPort, Taken: req.Taken, Gateway: req.Gateway, Remote: req.Remote,
	})
	if err != nil {
		return daemon.Loaded{}, err
	}
	return loaded(p, warnings, req)
}

// loaded is a manifest in the daemon's words.
func loaded(p *manifest.Project, warnings []runtime.Diagnostic, req daemon.LoadRequest) (daemon.Loaded, error) {
	wanted, err := p.Wanted(req.Services, req.Profiles)
	if err != nil {
		return daemon.Loaded{}, err
	}
	project := daemon.Project{
		ID: p.ID, Name: p.Name, Directory: p.Directory, File: p.File, Sources: p.Sources,
		Services: map[string]daemon.Service{},
	}
	for name, s := range p.Services {
		project.Services[name] = service(s)
	}
	return daemon.Loaded{Project: project, Order: p.Order, Wanted: wanted, Warnings: warnings}, nil
}

func service(s manifest.Service) daemon.Service {
	out := daemon.Service{
		Name: s.Name, Plan: s.Plan, Spec: s.Spec, Build: s.Build, Profiles: s.Profiles,
		URLs: s.URLs, Origins: s.Origins, Taken: s.Taken, BuildTimeout: s.BuildTimeout, EnvFiles: s.EnvFiles,
		Watch: daemon.Watch{Mode: string(s.Watch.Mode), Dir: s.Watch.Dir, Paths: s.Watch.Paths, Ignore: s.Watch.Ignore, Poll: s.Watch.Poll},
	}
	for _, p := range s.Published {
		out.Published = append(out.Published, daemon.Published{Port: p.Port, Number: p.Number, Protocol: p.Protocol, Mode: string(p.Mode)})
	}
	for _, m := range s.Matchers {
		out.Matchers = append(out.Matchers, daemon.Matcher(m))
	}
	return out
}

// inherit asks the caller's login shell. One that does not answer costs a
// warning, and what only it sets.
func inherit(ctx context.Context, directory string, caller []string) (daemon.Inherited, error) {
	shell, err := environ.Capture(ctx, directory, caller)
	var result daemon.Inherited
	if err != nil {
		unanswered, ok := errors.AsType[*environ.Unanswered](err)
		if !ok {
			return result, err
		}
		result.Warnings = append(result.Warnings, runtime.Diagnostic{
			File: cmp.Or(unanswered.Shell, "SHELL"), Severity: runtime.SeverityWarning,
			Text: unanswered.Why + ": services inherit the environment of this call alone",
			Hint: unansweredHint(unanswered.Shell, directory),
		})
	}
	result.Environment, result.Shell = environ.Merge(shell, caller)
	return result, nil
}

func unansweredHint(shell, directory string) string {
	if shell == "" {
		return "set SHELL to your login shell"
	}
	return "see what this does: cd " + directory + " && " + shell + " -l -i -c env </dev/null; its files can leave out what needs a person when " + environ.Marker + " is set"
}
