package daemon

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Logs is the runtime's.
func (d *Daemon) Logs(ctx context.Context, query runtime.LogQuery, fn func(runtime.LogBlock) error) error {
	l, err := d.runtime(ctx)
	if err != nil {
		return err
	}
	return l.Logs(ctx, query, fn)
}

// Terminal is the runtime's.
func (d *Daemon) Terminal(ctx context.Context, req runtime.TerminalRequest) (runtime.Session, error) {
	l, err := d.runtime(ctx)
	if err != nil {
		return nil, err
	}
	return l.Terminal(ctx, req)
}

// CommandRequest is a command to run beside a service, or in a project.
type CommandRequest struct {
	Command     []string
	Terminal    bool
	Environment []string // project only: the caller's
	Directory   string   // project only
}

// commandGrace is how long a command beside a service may take to end once
// its session was closed.
const commandGrace = 2 * time.Second

// Command returns the spec of a command in the environment of a service: that
// of the generation which serves, else what the manifest says. Without a
// service it is the project's and the caller's.
func (d *Daemon) Command(_ context.Context, name supervisor.Name, req CommandRequest) (runtime.Spec, error) {
	p := d.Present()
	project, ok := p.Projects[name.Project]
	if !ok {
		return runtime.Spec{}, wrapClass("project "+name.Project+" is not known", runtime.NotFound)
	}
	spec := runtime.Spec{Dir: req.Directory, Inherited: req.Environment, Environment: addresses(project)}
	if name.Service != "" {
		service, ok := project.Services[name.Service]
		if !ok {
			return runtime.Spec{}, wrapClass("service "+name.Service+" is not known", runtime.NotFound)
		}
		spec = service.Spec
		if g, ok := p.State.Service(name).Current(); ok {
			if bound, ok := p.Specs[runtimeID(supervisor.ID{Name: name, Number: g.Number})]; ok {
				spec = bound
			}
		}
		spec.Inherited = d.inheritedBy(project)
	}
	return runtime.Spec{
		ID:          runtime.ID{Environment: d.environment, Project: name.Project, Service: name.Service + ":run", Number: 1},
		Command:     req.Command,
		Dir:         spec.Dir,
		Environment: withPorts(spec),
		Inherited:   spec.Inherited,
		Terminal:    req.Terminal,
		Replicas:    1,
		Restart:     runtime.Restart{Policy: runtime.RestartNo},
		Stop:        runtime.Stop{Signal: "TERM", Grace: commandGrace},
	}, nil
}

// addresses says where the services of a project are reached, in the variables
// that services get of those they depend on: STEAD_<NAME>_URL, of the first
// port.
func addresses(p Project) map[string]string {
	environment := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		variable := strings.Replace(runtime.PortVariable(name), "PORT_", "STEAD_", 1) + "_URL"
		if urls := p.Services[name].URLs; len(urls) > 0 && environment[variable] == "" {
			environment[variable] = urls[0]
		}
	}
	return environment
}

// withPorts adds the variables of a service's fixed ports to its environment.
// The command gets no Ports, as it listens on none of them.
func withPorts(spec runtime.Spec) map[string]string {
	environment := maps.Clone(spec.Environment)
	if environment == nil {
		environment = map[string]string{}
	}
	for i, port := range spec.Ports {
		if port.Number == 0 {
			continue
		}
		number := strconv.Itoa(port.Number)
		if i == 0 {
			environment["PORT"] = number
		}
		environment[runtime.PortVariable(port.Name)] = number
	}
	return environment
}
