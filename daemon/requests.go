package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// UpRequest names a manifest and what is wanted of it.
type UpRequest struct {
	Directory   string
	File        string
	Services    []string
	Profiles    []string
	Keep        bool
	Environment []string
	Without     []string                     // services that run somewhere else: nothing of the rest may need them
	Remote      map[string]map[string]string // see LoadRequest
	TakeOver    bool                         // also from another daemon that drives the environment
	Agreed      string                       // what the user has agreed to, in the Loader's words
}

// UpResult is what Up did.
type UpResult struct {
	Project  Project
	Services []string // wanted by this request, dependencies included
	Changed  []string // whose definition is new or differs
	Warnings []runtime.Diagnostic
}

// Up reads a manifest, commits it, and wants its services up. When it returns
// their published ports are open, or it is known why not.
func (d *Daemon) Up(ctx context.Context, req UpRequest) (UpResult, error) {
	inherited, err := d.inherited(ctx, req)
	if err != nil {
		return UpResult{}, err
	}
	release, err := d.alone(ctx)
	if err != nil {
		return UpResult{}, err
	}
	defer release()
	loaded, err := d.read(ctx, req, inherited.Environment, PurposeApply)
	if err != nil {
		return UpResult{}, err
	}
	if loaded.Wanted, err = apart(loaded, req.Without); err != nil {
		return UpResult{}, err
	}
	p := loaded.Project
	p.Environment, p.Shell, p.Remote = inherited.Environment, inherited.Shell, req.Remote
	if err := d.lead(ctx, req.TakeOver); err != nil {
		if e := d.meet(ctx, p); e != nil {
			return UpResult{}, errors.Join(err, e)
		}
		return UpResult{}, err
	}
	result := UpResult{Services: closure(p, loaded.Wanted), Warnings: append(inherited.Warnings, loaded.Warnings...)}
	err = d.submit(ctx, func(dr *draft) error {
		p.Shown = shownName(p, dr.projects)
		result.Changed = changed(dr.projects[p.ID], p)
		result.Project = p
		dr.setProject(p)
		dr.events = append(dr.events,
			supervisor.Applied{Environment: d.environment, Project: p.ID, Plans: plans(p)},
			supervisor.Wanted{Names: d.names(p.ID, loaded.Wanted), All: len(req.Services) == 0, Up: true, Keep: req.Keep})
		if again := d.completed(p.ID, result.Services); loaded.Elsewhere && len(again) > 0 {
			dr.events = append(dr.events, supervisor.Restarted{Names: again})
		}
		dr.note(Event{Project: p.ID, Kind: EventRequest, Text: "up " + strings.Join(result.Services, " ")})
		return nil
	})
	if err == nil {
		d.awaitOpened(ctx)
	}
	if err == nil && d.environment != Local {
		_, _ = d.runtime(ctx) // one that has just been chosen is not there yet; if it never is, the present says so
	}
	return result, err
}

// completed are those of some services that ran once, in the loop's state.
func (d *Daemon) completed(project string, services []string) []supervisor.Name {
	return slices.DeleteFunc(d.names(project, services), func(n supervisor.Name) bool {
		s, ok := d.state.Services[n]
		return !ok || s.Phase() != supervisor.PhaseCompleted
	})
}

// apart leaves out what runs somewhere else. Nothing that is left may need it:
// here nobody reaches it.
func apart(l Loaded, without []string) ([]string, error) {
	for _, name := range without {
		if !slices.Contains(l.Order, name) {
			return nil, wrapClass("no service "+name+" in "+l.Project.Name, runtime.NotFound)
		}
	}
	wanted := slices.DeleteFunc(slices.Clone(l.Wanted), func(name string) bool { return slices.Contains(without, name) })
	for _, name := range closure(l.Project, wanted) {
		for _, needed := range l.Project.Services[name].Plan.DependsOn {
			if slices.Contains(without, needed.Service) {
				return nil, runtime.WithHint(
					wrapClass(name+" needs "+needed.Service+", which is to run at home: nothing reaches this machine from there yet", runtime.Unsupported),
					"run "+name+" at home too: --local "+strings.Join(append(slices.Clone(without), name), ","))
			}
		}
	}
	return wanted, nil
}

// Check reads a manifest and changes nothing. What a login shell would add to
// the caller's environment is taken from the last time it was asked: editors
// check on every save.
func (d *Daemon) Check(ctx context.Context, req UpRequest) (Loaded, error) {
	environment, err := d.remembered(req)
	if err != nil {
		return Loaded{}, err
	}
	return d.read(ctx, req, environment, PurposeCheck)
}

// remembered is the caller's environment with what the login shell had to add
// when it was asked last.
func (d *Daemon) remembered(req UpRequest) ([]string, error) {
	file, err := d.file(req)
	if err != nil {
		return nil, err
	}
	environment := req.Environment
	for _, p := range d.Present().Projects {
		if p.File == file {
			environment = withShell(environment, p)
		}
	}
	return environment, nil
}

func (d *Daemon) read(ctx context.Context, req UpRequest, environment []string, why Purpose) (Loaded, error) {
	return d.load(ctx, LoadRequest{
		Directory: req.Directory, File: req.File, Environment: environment,
		Profiles: req.Profiles, Services: req.Services, AutoPort: d.autoPort, Taken: d.taken(), Gateway: d.gateways != nil,
		Purpose: why, Agreed: req.Agreed, Remote: req.Remote,
	})
}

// alone waits until no other manifest is being applied.
func (d *Daemon) alone(ctx context.Context) (release func(), err error) {
	select {
	case d.applying <- struct{}{}:
		return func() { <-d.applying }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-d.ended:
		return nil, errEnding
	}
}

// Want commits that services are to be up or down.
func (d *Daemon) Want(ctx context.Context, wanted []supervisor.Name, up bool) error {
	if len(wanted) > 0 {
		if err := d.lead(ctx, false); err != nil {
			return err
		}
	}
	return d.submit(ctx, func(dr *draft) error {
		dr.events = append(dr.events, supervisor.Wanted{Names: wanted, Up: up})
		dr.noteRequest(map[bool]string{true: "up", false: "down"}[up], wanted)
		return nil
	})
}

// stopLimit bounds how long Stop waits for services; each is killed at the
// end of its own grace, and dependents go first.
const stopLimit = 5 * time.Minute

// Stop ends the daemon: Stopped is closed. With services it first wants
// everything down, waits until nothing runs, and ends the runtime too.
func (d *Daemon) Stop(ctx context.Context, services bool) (int, error) {
	count := 0
	if services {
		var err error
		if count, err = d.stopAll(ctx); err != nil {
			return count, err
		}
	}
	d.stopOnce.Do(func() { close(d.stopped) })
	return count, nil
}

func (d *Daemon) stopAll(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	var all []supervisor.Name
	for name, s := range d.Present().State.Services {
		if name != gatewayName && (s.Want.Up || !quiet(*s)) {
			all = append(all, name)
		}
	}
	if err := d.Want(ctx, all, false); err != nil {
		return 0, err
	}
	last := append(slices.Clone(all), gatewayName) // goes by itself when nobody needs it
	for {
		p := d.Present()
		if !slices.ContainsFunc(last, func(n supervisor.Name) bool { return !quiet(p.State.Service(n)) }) {
			break
		}
		select {
		case <-p.Newer():
		case <-ctx.Done():
			return 0, notStopped(p, all)
		}
	}
	l, err := d.runtime(ctx)
	if err != nil {
		return len(all), err
	}
	d.shut.Store(true)
	if err := l.Shutdown(ctx); err != nil {
		d.shut.Store(false)
		if ctx.Err() != nil {
			err = notStopped(d.Present(), all)
		}
		return len(all), err
	}
	return len(all), nil
}

// notStopped says what was still there when the time for a stop was over.
func notStopped(p *Present, names []supervisor.Name) error {
	var left []string
	for _, n := range names {
		if s := p.State.Service(n); !quiet(s) {
			left = append(left, n.Service+" is "+string(s.Phase()))
		}
	}
	slices.Sort(left)
	text := "not everything has stopped in time"
	if len(left) > 0 {
		text += ": " + strings.Join(left, ", ")
	}
	hint := "`stead status` shows when they are gone; the daemon goes on meanwhile"
	if p.Problem != "" {
		text += "; " + p.Problem
		hint = "`stead daemon stop` alone ends the daemon, and leaves what it cannot reach"
	}
	return runtime.WithHint(wrapClass(text, runtime.Unavailable), hint)
}

// quiet reports whether nothing of a service runs.
func quiet(s supervisor.Service) bool {
	return !slices.ContainsFunc(s.Generations, func(g supervisor.Generation) bool { return !g.Phase.Final() })
}

func (dr *draft) noteRequest(verb string, which []supervisor.Name) {
	byProject := map[string][]string{}
	for _, n := range which {
		byProject[n.Project] = append(byProject[n.Project], n.Service)
	}
	for project, services := range byProject {
		slices.Sort(services)
		dr.note(Event{Project: project, Kind: EventRequest, Text: verb + " " + strings.Join(services, " ")})
	}
}

func (d *Daemon) names(project string, services []string) []supervisor.Name {
	list := make([]supervisor.Name, len(services))
	for i, s := range services {
		list[i] = d.name(project, s)
	}
	return list
}

// closure adds what services depend on, and sorts.
func closure(p Project, services []string) []string {
	seen := map[string]bool{}
	var add func(string)
	add = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, dep := range p.Services[name].Plan.DependsOn {
			add(dep.Service)
		}
	}
	for _, name := range services {
		add(name)
	}
	list := make([]string, 0, len(seen))
	for name := range seen {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// changed lists the services whose definition differs between two versions of
// a project.
func changed(old, now Project) []string {
	var list []string
	for name, s := range now.Services {
		if was, known := old.Services[name]; !known || was.Plan.Revision != s.Plan.Revision {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}
