package supervisor

import (
	"cmp"
	"slices"
)

// While somebody else decides what runs (State.Observing), services are what
// the runtime reports, and orphans: nobody here knows what they are to be.

// forgetAll lets go of everything: what was wanted here would, if it were
// remembered, undo what another has done meanwhile.
func (t *step) forgetAll() {
	for name, s := range t.all() {
		t.edit(name).dropped = true
		t.spend(name, s.Last)
	}
}

// sighted takes note of a generation that another has started.
func (t *step) sighted(r Reported) {
	e := t.edit(r.ID.Name)
	if e == nil {
		e = t.create(Service{Name: r.ID.Name, Orphan: true})
	}
	e.discard(func(g *Generation) bool { return g.Number == r.ID.Number })
	g := Generation{
		Number: r.ID.Number, Plan: Plan{Revision: r.Revision}, Trigger: "it was found running", Built: true, Phase: PhaseStarting,
		Since: t.at(r.Time), Confirmed: true, Known: true, Restarts: r.Restarts,
	}
	switch r.Phase {
	case ReportedStopping:
		g.Phase = PhaseStopping
	case ReportedBackoff:
		g.Phase, g.Until = PhaseBackoff, r.Until
	}
	e.Last = max(e.Last, g.Number)
	e.Generations = append(e.Generations, g)
	slices.SortFunc(e.Generations, func(a, b Generation) int { return cmp.Compare(a.Number, b.Number) })
}

// mirror takes the place of settle. The runtime does not say which generation
// has the traffic: it is the newest that was ready.
func (t *step) mirror() {
	t.resync = false
	for _, e := range t.dirty {
		e.queued = false
		if e.dropped {
			continue
		}
		e.changed = true
		if e.serving() == nil {
			e.Routed = 0
		}
		for i := range e.Generations {
			if g := &e.Generations[i]; g.live() && g.Phase == PhaseReady && g.Number > e.Routed {
				e.Routed, e.Served = g.Number, g.Number
			}
		}
		if g := e.latest(); g != nil {
			e.Plan = g.Plan
		}
		e.Want.Up = e.lives()
		e.discard(func(g *Generation) bool { return g.Phase.Final() && g.Number != e.Last })
	}
	t.dirty = nil
}
