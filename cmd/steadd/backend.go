package main

import (
	"context"
	"os"
	goruntime "runtime"
	"time"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// backend is the daemon as the API's handlers need it: the same calls in
// their types.
type backend struct {
	d       *daemon.Daemon
	home    ipc.Home
	started time.Time
	where   *place // nil: at home
}

var (
	_ ipc.Backend   = backend{}
	_ ipc.Inspector = backend{}
	_ ipc.Proposer  = backend{}
	_ ipc.Releaser  = backend{}
	_ ipc.Router    = backend{}
	_ ipc.Previewer = backend{}
	_ ipc.Forwarder = backend{}
)

func (b backend) Describe(ctx context.Context) ipc.Description {
	return ipc.Description{
		Version: version, PID: os.Getpid(), Home: b.home.State, Socket: b.home.Socket,
		Started: b.started, Runtime: b.d.Runtime(ctx), Goroutines: goruntime.NumGoroutine(),
	}
}

func upRequest(req ipc.UpRequest) daemon.UpRequest {
	return daemon.UpRequest{
		Directory: req.Directory, File: req.File, Services: req.Services,
		Profiles: req.Profiles, Keep: req.Keep, Environment: req.Environment, Agreed: req.Agreed, TakeOver: req.TakeOver,
		Without: req.Without, Remote: remote(req.Remote),
	}
}

func (b backend) Up(ctx context.Context, req ipc.UpRequest) (ipc.UpResult, error) {
	r, err := b.d.Up(ctx, upRequest(req))
	return ipc.UpResult{
		Project: r.Project.ID, Name: r.Project.Shown,
		Services: r.Services, Changed: r.Changed, Warnings: r.Warnings,
	}, err
}

func (b backend) Check(ctx context.Context, req ipc.UpRequest) (ipc.CheckResult, error) {
	loaded, err := b.d.Check(ctx, upRequest(req))
	return ipc.CheckResult{
		File: loaded.Project.File, Name: loaded.Project.Name,
		Services: loaded.Order, Diagnostics: loaded.Warnings,
	}, err
}

func (b backend) Want(ctx context.Context, names []supervisor.Name, up bool) error {
	return b.d.Want(ctx, names, up)
}

// AwaitReleased implements ipc.Releaser.
func (b backend) AwaitReleased(ctx context.Context, names []supervisor.Name) {
	b.d.AwaitReleased(ctx, names)
}

// AwaitRouted implements ipc.Router.
func (b backend) AwaitRouted(ctx context.Context, sequence uint64) { b.d.AwaitRouted(ctx, sequence) }

func (b backend) Restart(ctx context.Context, names []supervisor.Name) error {
	return b.d.Restart(ctx, names)
}

// Present converts lazily: the maps are made anew for each reader, which is
// once per change and reader, and small beside sending it.
func (b backend) Present() *ipc.Present { return convert(b.d.Present()) }

func (b backend) Changed(p *ipc.Present) <-chan struct{} {
	now := b.d.Present()
	if now.Sequence != p.Sequence {
		return closed
	}
	return now.Newer()
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func convert(p *daemon.Present) *ipc.Present {
	out := &ipc.Present{
		Sequence: p.Sequence, State: p.State, Problem: p.Problem,
		Projects: make(map[string]ipc.Project, len(p.Projects)),
		Specs:    make(map[supervisor.Name]runtime.Spec, len(p.State.Services)),
		URLs:     map[supervisor.Name][]string{}, Unreachable: p.Unreachable, Diagnostics: p.Diagnostics,
		Notes: p.Notes, Reloads: make(map[supervisor.Name]ipc.Reload, len(p.Reloads)),
	}
	for name, r := range p.Reloads {
		out.Reloads[name] = ipc.Reload{
			Generation: r.Generation, Trigger: r.Trigger, Began: r.Began, Built: r.Built, Ended: r.Ended,
			Outcome: string(r.Outcome), Cause: r.Cause,
		}
	}
	for id, project := range p.Projects {
		if id == ownProject {
			continue // not the user's
		}
		out.Projects[id] = ipc.Project{ID: id, Name: project.Shown, Directory: project.Directory, File: project.File}
	}
	for name, s := range p.State.Services {
		service := p.Projects[name.Project].Services[name.Service]
		spec := service.Spec
		if len(service.Published) > 0 || name.Environment != daemon.Local {
			out.URLs[name] = service.URLs
		}
		if g, ok := s.Current(); ok {
			id := runtime.ID{Environment: name.Environment, Project: name.Project, Service: name.Service, Number: g.Number}
			if bound, ok := p.Specs[id]; ok {
				spec = bound
			}
		}
		out.Specs[name] = spec
	}
	return out
}

func (b backend) Events(ctx context.Context, after uint64, follow bool, fn func([]ipc.Event) error) error {
	next := after
	return b.d.Events(ctx, after, follow, func(events []daemon.Event) error {
		out := make([]ipc.Event, 0, len(events)+1)
		if next != 0 && len(events) > 0 && events[0].Sequence > next+1 {
			out = append(out, ipc.Event{Sequence: events[0].Sequence - 1, Time: events[0].Time, Kind: ipc.EventGap, Text: "events are missing here: they are too old to be kept"})
		}
		for _, e := range events {
			out = append(out, ipc.Event{
				Sequence: e.Sequence, Time: e.Time, Project: e.Project, Service: e.Service,
				Generation: e.Generation, Instance: e.Instance, Kind: ipc.EventKind(e.Kind), Text: e.Text,
			})
			next = e.Sequence
		}
		return fn(out)
	})
}

// Inspect implements ipc.Inspector.
func (b backend) Inspect(ctx context.Context, ids []supervisor.ID) []runtime.Inspection {
	return b.d.Inspect(ctx, ids)
}

func (b backend) Logs(ctx context.Context, query runtime.LogQuery, fn func(runtime.LogBlock) error) error {
	return b.d.Logs(ctx, query, fn)
}

func (b backend) Terminal(ctx context.Context, req runtime.TerminalRequest) (runtime.Session, error) {
	return b.d.Terminal(ctx, req)
}

func (b backend) Command(ctx context.Context, name supervisor.Name, req ipc.CommandRequest) (runtime.Spec, error) {
	return b.d.Command(ctx, name, daemon.CommandRequest(req))
}

func (b backend) Stop(ctx context.Context, services bool) (int, error) {
	count, err := b.d.Stop(ctx, services)
	if err == nil && services && b.where != nil {
		err = b.where.forwards.Drop()
	}
	return count, err
}
