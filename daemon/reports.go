package daemon

import (
	"slices"
	"time"

	"github.com/stead-dev/stead/supervisor"
)

// gatewayMessage is a report with the generation of the gateway that made it.
type gatewayMessage struct {
	generation uint64
	report     GatewayReport
}

// reports is what gateways have said. It belongs to the loop's goroutine.
type reports struct {
	drained map[supervisor.ID][]uint64 // by which generations of the gateway
	used    map[supervisor.Name]map[uint64]use
	naps    map[supervisor.Name]time.Time // services that may fall asleep, and when they were last told to
}

// use is when a service that starts on demand was used, by the word of one
// generation of the gateway.
type use struct {
	last     time.Time
	inFlight int
}

func newReports() reports {
	return reports{drained: map[supervisor.ID][]uint64{}, used: map[supervisor.Name]map[uint64]use{}, naps: map[supervisor.Name]time.Time{}}
}

// heed notes that a service may fall asleep, also when nobody ever uses it;
// whether it does, idleAt says.
func (r *reports) heed(s *supervisor.Service) {
	if _, known := r.naps[s.Name]; !known && s.Plan.OnDemand && s.Plan.Idle > 0 && s.Awake && !s.Asleep {
		r.naps[s.Name] = time.Time{}
	}
}

// reported takes a gateway's report into the draft.
func (d *Daemon) reported(dr *draft, m gatewayMessage) {
	name, ok := serviceOfRoute(m.report.Service)
	if !ok {
		return
	}
	switch m.report.Kind {
	case GatewayDrained:
		id := supervisor.ID{Name: name, Number: m.report.Number}
		if by := d.reports.drained[id]; !slices.Contains(by, m.generation) {
			d.reports.drained[id] = append(by, m.generation)
		}
	case GatewayWaiting:
		if d.state.Service(name).Asleep {
			dr.events = append(dr.events, supervisor.Woken{Names: []supervisor.Name{name}})
		}
	case GatewayUsed:
		if d.reports.used[name] == nil {
			d.reports.used[name] = map[uint64]use{}
		}
		u := use{m.report.Last, m.report.InFlight}
		d.reports.used[name][m.generation] = u
		if s := d.state.Service(name); u.wakes(s, dr.now) {
			dr.events = append(dr.events, supervisor.Woken{Names: []supervisor.Name{name}})
		}
	}
}

// wakes reports whether a service that runs only since others need it has
// callers of its own: it is not to sleep with the others, then.
func (u use) wakes(s supervisor.Service, now time.Time) bool {
	return s.Plan.OnDemand && !s.Asleep && !s.Awake && s.Routed != 0 && (u.inFlight > 0 || now.Sub(u.last) < s.Plan.Idle)
}

// settleDrained tells the supervisor of generations to which no gateway has
// anything in flight: while a gateway is replaced there are two.
func (d *Daemon) settleDrained(dr *draft) {
	if len(d.reports.drained) == 0 {
		return
	}
	live := liveGateways(d.state)
	for id, by := range d.reports.drained {
		if !draining(d.state, id) {
			delete(d.reports.drained, id)
			continue
		}
		if !slices.ContainsFunc(live, func(n uint64) bool { return !slices.Contains(by, n) }) {
			delete(d.reports.drained, id)
			dr.events = append(dr.events, supervisor.Drained{ID: id})
		}
	}
}

func draining(state supervisor.State, id supervisor.ID) bool {
	s, ok := state.Services[id.Name]
	return ok && slices.ContainsFunc(s.Generations, func(g supervisor.Generation) bool {
		return g.Number == id.Number && g.Phase == supervisor.PhaseDraining
	})
}

// liveGateways are the generations of the gateway that have a process.
func liveGateways(state supervisor.State) []uint64 {
	s, ok := state.Services[gatewayName]
	if !ok {
		return nil
	}
	var live []uint64
	for i := range s.Generations {
		g := &s.Generations[i]
		alive := slices.ContainsFunc(g.Instances, func(i supervisor.Instance) bool { return i.Exit == "" })
		if alive && !g.Phase.Final() {
			live = append(live, g.Number)
		}
	}
	return live
}

// settleIdle has services sleep that nobody has used for as long as their
// manifest says.
func (d *Daemon) settleIdle(dr *draft) {
	for name := range d.reports.naps {
		switch at, ok := d.idleAt(name); {
		case !ok:
			delete(d.reports.naps, name)
			delete(d.reports.used, name)
		case !at.IsZero() && !dr.now.Before(at):
			d.reports.naps[name] = dr.now // said again: it is ignored while a generation is on its way
			dr.events = append(dr.events, supervisor.Idled{Name: name})
		}
	}
}

// idleAt is when a service falls asleep, zero while it is in use; ok is false
// for one that does not. The time counts from its last use, from when it
// became what it is now, or from when it was last told to sleep.
func (d *Daemon) idleAt(name supervisor.Name) (at time.Time, ok bool) {
	s, known := d.state.Services[name]
	if !known || !s.Want.Up || !s.Plan.OnDemand || s.Plan.Idle <= 0 || s.Asleep || !s.Awake {
		return time.Time{}, false
	}
	current, _ := s.Current()
	last := latest(d.reports.naps[name], s.Made, current.Since)
	for _, number := range liveGateways(d.state) {
		u := d.reports.used[name][number]
		if u.inFlight > 0 {
			return time.Time{}, true
		}
		last = latest(last, u.last)
	}
	return last.Add(s.Plan.Idle), true
}

func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, time.Time.Compare)
}

// nextIdle is the earliest idleAt, zero when there is none.
func (d *Daemon) nextIdle() time.Time {
	var next time.Time
	for name := range d.reports.naps {
		if at, ok := d.idleAt(name); ok && !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}
