package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// commandWorkers bounds how many commands are under way at once, over all
// services.
const commandWorkers = 32

// forgetKey is the queue's key for what belongs to no service.
var forgetKey = supervisor.Name{}

// order hands a command to the service's worker. What the command needs of
// the loop's state is taken here, in the loop.
func (d *Daemon) order(ctx context.Context, c supervisor.Command) {
	switch c := c.(type) {
	case supervisor.Start:
		id := runtimeID(c.ID)
		spec, ok := d.specs[id]
		if !ok {
			d.work.add(c.ID.Name, func() { d.refusedStart(ctx, c.ID, errNoSpec) })
			return
		}
		spec.Trial = c.Trial
		spec.Inherited = d.inheritedBy(d.projects[id.Project])
		d.work.addAfter(c.ID.Name, d.beforeStart(ctx, spec, time.Now()), func() { d.start(ctx, c.ID, spec) })
	case supervisor.Build:
		service := d.projects[c.ID.Project].Services[c.ID.Service]
		if service.Build == nil {
			d.work.add(c.ID.Name, func() { _ = d.tell(ctx, message{event: supervisor.Built{ID: c.ID, OK: true}}) })
			return
		}
		spec := *service.Build
		spec.Inherited = d.projects[c.ID.Project].Environment
		d.builds.add(buildWish{c.ID, spec, service.BuildTimeout}) // settleBuilds starts it
	case supervisor.Cancel:
		d.builds.cancel(c.ID) // settleBuilds ends it
	case supervisor.Stop:
		d.work.add(c.ID.Name, func() { d.stop(ctx, runtimeID(c.ID), c.Kill) })
	case supervisor.Route:
		if l := d.link.Load(); l != nil && l.can(runtime.CapabilityRoute) {
			d.work.addAfter(c.ID.Name, func() { d.route(ctx, c.ID) }, func() {})
		}
	case supervisor.Signal:
		d.work.add(c.ID.Name, func() { d.signal(ctx, runtimeID(c.ID), c.Signal) })
	case supervisor.Hold, supervisor.Unroute, supervisor.Drain, supervisor.Drop:
		// The gateway follows the State itself (doors.go), so that no command
		// can be lost on it. Drop's commit has happened.
	}
}

var errNoSpec = wrapClass("its definition was lost with the state: `stead up` in its project brings it back", runtime.Invalid)

func buildID(id supervisor.ID) runtime.ID {
	b := runtimeID(id)
	b.Service += buildSuffix
	return b
}

// start asks the runtime for a generation. While the runtime cannot be
// reached nothing is said: after Synced the supervisor gives the command
// again, and startAgain where a socket was missing.
func (d *Daemon) start(ctx context.Context, id supervisor.ID, spec runtime.Spec) {
	l := d.link.Load()
	if l == nil {
		return
	}
	_, err := l.Start(ctx, spec)
	switch {
	case err == nil || ctx.Err() != nil:
	case !errors.Is(err, runtime.Unavailable):
		d.refusedStart(ctx, id, err)
	case len(spec.Sockets) == 0:
		d.repeat(ctx, l, id, awaitsStart, func() { d.start(ctx, id, spec) })
	}
}

func awaitsStart(g *supervisor.Generation) bool {
	return g.Phase == supervisor.PhaseStarting && !g.Known
}

// startAgain asks once more for generations that were refused because a
// socket of theirs was not open yet. For those that are there it changes
// nothing.
func (d *Daemon) startAgain(ctx context.Context) {
	for name, s := range d.state.Services {
		for i := range s.Generations {
			g := &s.Generations[i]
			id := supervisor.ID{Name: name, Number: g.Number}
			if g.Phase == supervisor.PhaseStarting && !g.Known && len(d.specs[runtimeID(id)].Sockets) > 0 {
				d.order(ctx, supervisor.Start{ID: id, Trial: s.Routed != 0})
			}
		}
	}
}

func (d *Daemon) refusedStart(ctx context.Context, id supervisor.ID, err error) {
	d.log.Warn("a start was refused", "service", id.Service, "gen", id.Number, "err", err)
	_ = d.tell(ctx, message{event: supervisor.Refused{ID: id, Cause: supervisor.Cause{Kind: supervisor.CauseStart, Text: err.Error()}}})
}

// build starts a build as a one-shot of the runtime, so that it outlives this
// daemon; its end comes by Watch.
func (d *Daemon) build(ctx context.Context, id supervisor.ID, spec runtime.Spec) {
	l := d.link.Load()
	if l == nil {
		return
	}
	_, err := l.Start(ctx, spec)
	if err == nil || errors.Is(err, runtime.Unavailable) || ctx.Err() != nil {
		return
	}
	_ = d.tell(ctx, message{unbuilt: &unbuilt{id, supervisor.Cause{Kind: supervisor.CauseBuild, Text: err.Error()}}})
}

// unbuilt is a build that the runtime refused.
type unbuilt struct {
	id    supervisor.ID
	cause supervisor.Cause
}

func (d *Daemon) takeUnbuilt(dr *draft, m unbuilt) {
	for _, id := range d.builds.wanting(m.id) {
		dr.events = append(dr.events, supervisor.Built{ID: id, Cause: m.cause})
	}
	dr.over = append(dr.over, m.id)
}

func (d *Daemon) stop(ctx context.Context, id runtime.ID, kill bool) {
	l := d.link.Load()
	if l == nil {
		return
	}
	err := l.Stop(ctx, id, runtime.StopRequest{Drain: !kill, Kill: kill})
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, runtime.Unavailable):
		d.repeat(ctx, l, supervisorID(id), awaitsStop, func() { d.stop(ctx, id, kill) })
	case errors.Is(err, runtime.NotFound): // it has ended, and was forgotten; or it never started
		e := runtime.Event{Kind: runtime.GenerationEvent, ID: id, Generation: &runtime.GenerationStatus{Phase: runtime.GenerationStopped}}
		_ = d.tell(ctx, message{report: &e})
	default:
		d.log.Warn("a stop was refused", "service", id.Service, "gen", id.Number, "err", err)
	}
}

func awaitsStop(g *supervisor.Generation) bool { return g.Phase == supervisor.PhaseStopping }

func (d *Daemon) signal(ctx context.Context, id runtime.ID, signal string) {
	if l := d.link.Load(); l != nil {
		if err := l.Signal(ctx, id, signal); err != nil && ctx.Err() == nil {
			d.log.Warn("a signal was refused", "service", id.Service, "gen", id.Number, "err", err)
		}
	}
}

// route leads callers to a generation. It comes back when they are led there,
// or are to be led elsewhere by now: the generation before, which they have
// until then, is stopped by a later command on the service.
func (d *Daemon) route(ctx context.Context, id supervisor.ID) {
	told := ""
	for wait := commandAgain / 10; ; wait = min(2*wait, commandSeldom) {
		l := d.link.Load()
		if l != nil {
			err := l.Route(ctx, runtimeID(id))
			if err == nil || errors.Is(err, runtime.NotFound) || ctx.Err() != nil {
				return
			}
			if text := err.Error(); text != told {
				told = text
				d.log.Warn("a route was refused", "service", id.Service, "gen", id.Number, "err", err)
				_ = d.tell(ctx, message{note: &Event{
					Project: id.Project, Service: id.Service, Generation: id.Number, Kind: EventDaemon, Text: "callers are not led to it yet: " + text,
				}})
			}
		}
		if !pause(ctx, wait) || !d.leads(id) {
			return
		}
	}
}

// leads reports whether callers are still to be led to a generation, by us.
func (d *Daemon) leads(id supervisor.ID) bool {
	state := &d.Present().State
	return !state.Observing && state.Service(id.Name).Routed == id.Number
}

// What the runtime cannot do now, as it is attached and what it runs on is
// away, is asked for again after that time; a route, for which callers may
// wait, sooner at first.
const (
	commandAgain  = time.Second
	commandSeldom = 2 * time.Second
)

// repeat has a command carried out once more if it still holds by then. Where
// the runtime was attached anew it was given again already.
func (d *Daemon) repeat(ctx context.Context, l *link, id supervisor.ID, holds func(*supervisor.Generation) bool, do func()) {
	wait := func() { pause(ctx, commandAgain) }
	d.work.addAfter(id.Name, wait, func() {
		s := d.Present().State.Service(id.Name)
		i := slices.IndexFunc(s.Generations, func(g supervisor.Generation) bool { return g.Number == id.Number })
		if i >= 0 && holds(&s.Generations[i]) && d.link.Load() == l {
			do()
		}
	})
}

// pause reports whether the time has passed without ctx ending.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
