package supervisor

import (
	"slices"
	"time"
)

// attached: whatever the runtime does not report from now on is gone.
func (t *step) attached(observe bool) {
	t.state.Synced, t.resync, t.state.Observing = false, false, observe
	if observe {
		t.forgetAll()
		return
	}
	for name, s := range t.all() {
		if len(s.Generations) == 0 {
			continue
		}
		e := t.edit(name)
		for i := range e.Generations {
			g := &e.Generations[i]
			g.Confirmed = false
			for j := range g.Instances {
				g.Instances[j].Ready = false // it will be said of those that are
			}
		}
	}
}

// synced: the present is complete.
func (t *step) synced() {
	t.state.Synced, t.resync, t.state.Bereft = true, true, false
	for name := range t.all() {
		e := t.edit(name)
		for i := range e.Generations {
			g := &e.Generations[i]
			switch {
			case g.Confirmed:
				t.look(g, g.changed(t.now))
			case g.running():
				g.lose(t.now, e.wanted(), g.Known || g.WasReady || g.Number == e.Routed)
			}
		}
	}
}

// lose handles a generation that the runtime does not know. ran: it did once,
// so it died with the runtime; else the request to start it may never have
// arrived, and it is asked for again.
func (g *Generation) lose(now time.Time, wanted, ran bool) {
	switch {
	case !g.live() || !wanted:
		g.Deadline = time.Time{}
		g.to(PhaseStopped, now)
	case ran:
		g.Cause = Cause{Kind: CauseRuntime, Text: "the runtime died"}
		g.to(PhaseFailed, now)
	}
}

// changed returns the time of the last change of an instance, else now.
func (g *Generation) changed(now time.Time) time.Time {
	var last time.Time
	for _, i := range g.Instances {
		if i.Since.After(last) {
			last = i.Since
		}
	}
	if last.IsZero() {
		return now
	}
	return last
}

// restate gives every command that holds: those given before the runtime or
// the daemon died may not have been carried out.
func (t *step) restate() {
	t.flush()
	names := make([]Name, 0, len(t.state.Services))
	for name := range t.state.Services {
		names = append(names, name)
	}
	slices.SortFunc(names, t.state.graph.compare)
	t.resync = false
	for _, name := range names {
		s := t.state.Services[name]
		t.restateTraffic(s)
		t.restateGenerations(s)
	}
}

func (t *step) restateTraffic(s *Service) {
	switch {
	case s.Routed != 0:
		t.emit(Route{s.id(s.Routed)})
	case s.Held:
		t.emit(Hold{s.Name})
	case !s.Plan.OneShot:
		t.emit(Unroute{s.Name})
	}
}

func (t *step) restateGenerations(s *Service) {
	for i := range s.Generations {
		g := &s.Generations[i]
		id := s.id(g.Number)
		switch {
		case g.Phase == PhaseBuilding:
			t.emit(Build{id})
		case g.Phase == PhaseDraining:
			t.emit(Drain{ID: id, Limit: max(0, g.Deadline.Sub(t.now))})
		case g.Phase == PhaseStopping:
			t.emit(Stop{ID: id})
		case g.Phase == PhaseStarting && !g.Confirmed:
			t.emit(Start{ID: id, Trial: s.serving() != nil})
		}
	}
}
