package daemon

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Gateways is how the daemon has a gateway.
type Gateways struct {
	Project Project                         // of stead's own, with the gateway as its only service
	Dial    func(generation uint64) Gateway // does not wait for anything
}

// Gateway is a gateway process. Its methods may be called concurrently.
type Gateway interface {
	// Want changes what routes are wanted, and does not wait: they come into
	// effect as soon as the gateway hears of them, which takes a Watch.
	Want(changes RouteChanges)
	// Await returns when all that is wanted by now is in effect, or why it is
	// not when ctx ends.
	Await(ctx context.Context) error
	// Routes returns what is routed now, as a gateway was last told.
	Routes(ctx context.Context) ([]Route, error)
	// Watch keeps a connection to the gateway, and calls fn with what it
	// reports, one call at a time, until ctx ends.
	Watch(ctx context.Context, fn func(GatewayReport)) error
}

// RouteChanges is what is to be different. Removed are Route.IDs.
type RouteChanges struct {
	Set     []Route
	Removed []string
}

// GatewayReport is what a gateway has to say of one service.
type GatewayReport struct {
	Service  string // Route.ID
	Kind     GatewayReportKind
	Number   uint64    // Drained: of the generation
	Last     time.Time // Used
	InFlight int       // Used
}

// GatewayReportKind says which fields of a GatewayReport are set.
type GatewayReportKind int

// The kinds of GatewayReport.
const (
	GatewayDrained GatewayReportKind = iota + 1 // nothing is in flight to a generation that drains
	GatewayWaiting                              // a caller waits, and nothing serves it
	GatewayUsed                                 // when it was used last, and whether it is now
)

// gatewayName is the service that the gateway is, in a project of stead's own
// whose ID no manifest can have.
var gatewayName = supervisor.Name{Environment: Local, Project: "stead", Service: "gateway"}

// mind has the gateway up as long as a service needs it. What it is to be is
// said when the runtime has told what there is, where the memory of that was
// lost: else one that runs would be nobody's, and replaced.
func (d *Daemon) mind(now time.Time, next supervisor.State, commands []supervisor.Command) (supervisor.State, []supervisor.Command) {
	if d.gateways == nil || next.Bereft {
		return next, commands
	}
	step := func(e supervisor.Event) {
		var more []supervisor.Command
		next, more = supervisor.Step(next, now, e)
		commands = append(commands, more...)
	}
	own := d.gateways.Project
	known, ok := next.Services[gatewayName]
	if !ok || known.Orphan || known.Gone || known.Plan.Revision != own.Services[gatewayName.Service].Plan.Revision {
		step(supervisor.Applied{Environment: Local, Project: own.ID, Plans: plans(own)})
	}
	if up := anyProxied(next); next.Services[gatewayName].Want.Up != up {
		step(supervisor.Wanted{Names: []supervisor.Name{gatewayName}, Up: up, Keep: true})
	}
	return next, commands
}

func anyProxied(state supervisor.State) bool {
	for name, s := range state.Services {
		if (s.Plan.Proxied || s.Orphan) && name != gatewayName && attended(s) {
			return true
		}
	}
	return false
}

// gatewayTrouble says what is wrong with a gateway that is needed.
func gatewayTrouble(state supervisor.State) string {
	s, ok := state.Services[gatewayName]
	if !ok || !s.Want.Up || len(liveGateways(state)) > 0 {
		return ""
	}
	return s.Why().Text // none while it comes up
}

// doors keeps sockets and gateways as the newest present wants them. All of it
// belongs to the goroutine of attend.
type doors struct {
	d       *Daemon
	dial    func(generation uint64) Gateway
	table   table
	keepers map[uint64]*doorkeeper // by the gateway's generation
	told    []Gateway              // those of keepers; replaced, never changed

	adopted  bool                                 // what is published by services whose manifest was lost is known
	asked    *link                                // the runtime that has been asked to listen; nil: it has to be
	problems map[supervisor.Name]supervisor.Cause // of the last answer
	pause    time.Duration                        // until it is asked again, as not every socket could be had; zero: all could
	opened   uint64                               // Present.Applied whose sockets were asked for
}

func newDoors(d *Daemon, dial func(uint64) Gateway) *doors {
	return &doors{d: d, dial: dial, table: newTable(), keepers: map[uint64]*doorkeeper{}}
}

// A port that could not be had is asked for again, soon at first: a gateway
// that has just been told to let go of it may not have yet.
const (
	listenSoon   = 20 * time.Millisecond
	listenSeldom = 2 * time.Second
)

// attend ends with ctx, after all keepers have.
func (o *doors) attend(ctx context.Context) {
	again := time.NewTimer(listenSeldom)
	defer again.Stop()
	due := true
	for ctx.Err() == nil {
		p := o.d.Present()
		if p.State.Synced { // before that the runtime has not said what there is
			o.adopt(ctx, p)
			changes, sockets := o.table.update(p)
			if o.listen(ctx, p, sockets, due) && o.pause > 0 { // a gateway asks for the sockets of a route at once
				again.Reset(o.pause)
			}
			o.post(p)
			if len(changes.Set)+len(changes.Removed) > 0 {
				for _, k := range o.keepers {
					k.gateway.Want(changes)
				}
			}
		}
		o.d.routed.follow(p.Sequence, p.State.Synced && o.table.callable > 0 && gatewayTrouble(p.State) == "", o.told)
		due = false
		select {
		case <-p.Newer():
		case <-again.C: // a port may be free now
			due = true
		case <-ctx.Done():
		}
	}
	for _, k := range o.keepers {
		k.end()
	}
}

// adopt finds out from a gateway which ports are those of services that were
// taken over with a lost state: no manifest says so any more, and they must
// not be closed.
func (o *doors) adopt(ctx context.Context, p *Present) {
	if o.adopted || !anyOrphan(p.State) {
		return
	}
	for _, number := range liveGateways(p.State) {
		ctx, cancel := context.WithTimeout(ctx, adoptLimit)
		routes, err := o.dial(number).Routes(ctx)
		cancel()
		if err != nil {
			o.d.log.Warn("the gateway does not say which ports are published", "gen", number, "err", err)
			continue
		}
		for _, r := range routes {
			if name, ok := serviceOfRoute(r.ID); ok {
				o.table.orphans[name] = r.Doors
			}
		}
		break
	}
	o.adopted = true // also without a gateway: then nothing was published by one
}

// adoptLimit is for a gateway that hangs.
const adoptLimit = time.Second

func anyOrphan(state supervisor.State) bool {
	for _, s := range state.Services {
		if s.Orphan && attended(s) {
			return true
		}
	}
	return false
}

// listen has the runtime bind what is wanted now, and nothing else, when that
// is something new, another runtime, or due again. It says whether it has.
func (o *doors) listen(ctx context.Context, p *Present, changed, due bool) bool {
	l := o.d.link.Load()
	if l == nil {
		return false
	}
	if l == o.asked && !changed && !(due && o.pause > 0) {
		if o.opened != p.Applied { // nothing to do is done, too
			o.tell(ctx, l, p)
		}
		return false
	}
	fresh := l != o.asked
	if fresh || changed {
		o.pause = 0
	}
	o.asked = l
	statuses, err := l.Listen(ctx, understood(l, o.table.sockets()))
	if err != nil {
		if ctx.Err() == nil {
			o.d.log.Warn("ports were not opened", "err", err)
		}
		if o.slower(); errors.Is(err, runtime.Unsupported) {
			o.pause = 0 // it will not learn it
			o.tell(ctx, l, p)
		}
		return true
	}
	problems := map[supervisor.Name]supervisor.Cause{}
	for _, s := range statuses {
		if s.Error != "" && !s.Absent {
			problems[o.table.owner(s.Socket)] = supervisor.Cause{Kind: CausePort, Text: s.Error}
		}
	}
	if len(problems) > 0 {
		o.slower()
	} else {
		o.pause = 0
	}
	if fresh || changed || o.opened != p.Applied || !maps.Equal(o.problems, problems) {
		o.problems = problems
		o.tell(ctx, l, p)
	}
	return true
}

// tell has the loop know what l has been asked for, and what came of it.
func (o *doors) tell(ctx context.Context, l *link, p *Present) {
	o.opened = p.Applied
	_ = o.d.tell(ctx, message{ports: &portsChange{o.problems, p.Applied, l}})
}

// understood leaves out what an older runtime would take for another thing.
func understood(l *link, sockets []runtime.Socket) []runtime.Socket {
	if l.can(runtime.CapabilityReserve) {
		return sockets
	}
	return slices.DeleteFunc(sockets, func(s runtime.Socket) bool { return s.Reserve })
}

func (o *doors) slower() { o.pause = min(max(listenSoon, 2*o.pause), listenSeldom) }

// CausePort is the kind of cause that a published port cannot be had.
const CausePort supervisor.CauseKind = "port"

// portsChange tells which services cannot be reached by their published port,
// as of the projects of a Present.
type portsChange struct {
	problems map[supervisor.Name]supervisor.Cause
	applied  uint64
	link     *link // the runtime that was asked
}

// openLimit bounds how long a request waits for ports. A runtime that is away
// for longer is said in other words.
const openLimit = 2 * time.Second

// awaitOpened returns when the runtime has been asked for the ports of all that is
// applied now: who is told that a service is up, or asleep, may call it, and
// is not refused.
func (d *Daemon) awaitOpened(ctx context.Context) {
	if d.gateways == nil {
		return
	}
	limit := time.NewTimer(openLimit)
	defer limit.Stop()
	for p, applied := d.Present(), d.Present().Applied; p.Opened < applied; p = d.Present() {
		select {
		case <-p.Newer():
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		case <-d.ended:
			return
		}
	}
}

// post has one keeper for each generation of the gateway that lives.
func (o *doors) post(p *Present) {
	live := liveGateways(p.State)
	for number, k := range o.keepers {
		if !slices.Contains(live, number) {
			k.end()
			delete(o.keepers, number)
			o.told = slices.DeleteFunc(slices.Clone(o.told), func(g Gateway) bool { return g == k.gateway })
		}
	}
	for _, number := range live {
		if o.keepers[number] == nil {
			gateway := o.dial(number)
			gateway.Want(o.table.all()) // before it is connected: the first that it hears replaces all that it has
			o.keepers[number] = newDoorkeeper(o.d, number, gateway)
			o.told = append(slices.Clone(o.told), gateway)
		}
	}
}
