package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// The origins of variables that no file sets.
const (
	originShell  = "login shell"
	originCaller = "caller"
	originStead  = "stead"
)

// A Variable is one of a service's environment.
type Variable struct {
	Name   string
	Value  string
	Origin string // file:line, "login shell", "caller" (of stead up), or "stead"
}

// EnvResult is the environment of a service.
type EnvResult struct {
	Project   Project
	Variables []Variable // sorted by name
	Warnings  []runtime.Diagnostic
}

// Env returns the environment that the next start of a service gets, as it
// was last applied.
func (d *Daemon) Env(_ context.Context, name supervisor.Name) (EnvResult, error) {
	p := d.Present()
	project, ok := p.Projects[name.Project]
	if !ok {
		return EnvResult{}, wrapClass("project "+name.Project+" is not known", runtime.NotFound)
	}
	service, ok := project.Services[name.Service]
	if !ok {
		return EnvResult{}, wrapClass("service "+name.Service+" is not known", runtime.NotFound)
	}
	result := EnvResult{Project: project, Variables: variables(d.inheritedBy(project), project.Shell, service)}
	if g, ok := p.State.Service(name).Current(); ok && !g.Phase.Final() && g.Plan.Revision != service.Plan.Revision {
		result.Warnings = append(result.Warnings, runtime.Diagnostic{
			File: project.File, Severity: runtime.SeverityWarning, Service: name.Service,
			Text: fmt.Sprintf("generation %d of %s still runs with another definition", g.Number, name.Service),
			Hint: "this is what its next generation gets: stead restart " + name.Service,
		})
	}
	return result, nil
}

// RefreshEnvironment asks the login shell again for what the services of a
// project inherit. What runs keeps what it was started with.
func (d *Daemon) RefreshEnvironment(ctx context.Context, project string, caller []string) ([]runtime.Diagnostic, error) {
	p, ok := d.Present().Projects[project]
	if !ok {
		return nil, wrapClass("project "+project+" is not known", runtime.NotFound)
	}
	inherited := Inherited{Environment: caller}
	if d.inherit != nil {
		var err error
		if inherited, err = d.inherit(ctx, p.Directory, caller); err != nil {
			return nil, err
		}
	}
	err := d.submit(ctx, func(dr *draft) error {
		p, ok := dr.projects[project]
		if !ok {
			return wrapClass("project "+project+" is not known any more", runtime.NotFound)
		}
		p.Environment, p.Shell = inherited.Environment, inherited.Shell
		dr.setProject(p)
		dr.note(Event{Project: project, Kind: EventRequest, Text: "env --refresh"})
		return nil
	})
	return inherited.Warnings, err
}

// variables are those of a service, each with its origin: what is inherited,
// over it what stead sets and the manifest declares, and over that the ports.
func variables(inherited, shell []string, s Service) []Variable {
	all := map[string]Variable{}
	set := func(name, value, origin string) { all[name] = Variable{name, value, origin} }
	for _, one := range inherited {
		name, value, _ := strings.Cut(one, "=")
		set(name, value, originCaller)
		if _, known := slices.BinarySearch(shell, name); known {
			set(name, value, originShell)
		}
	}
	set("PWD", s.Spec.Dir, originStead)
	for name, value := range s.Spec.Environment {
		origin := s.Origins[name]
		if origin == "" { // passed on
			origin = all[name].Origin
		}
		if origin == "" { // from an environment that was refreshed since
			origin = originCaller
		}
		set(name, value, origin)
	}
	ports := s.Spec
	ports.Environment = nil
	for name, value := range withPorts(ports) {
		set(name, value, originStead)
	}
	list := make([]Variable, 0, len(all))
	for _, v := range all {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	return list
}
