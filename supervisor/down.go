package supervisor

import "time"

// down ends everything, after the dependents that rest too.
func (t *step) down(e *edit) {
	waits := t.blockedByDependents(e)
	e.Owed = ""
	if (e.Routed != 0 || e.Held) && (!waits || e.serving() == nil) {
		e.Routed, e.Held = 0, false
		t.emit(Unroute{e.Name})
	}
	for i := range e.Generations {
		if g := &e.Generations[i]; !waits || !g.running() {
			t.stop(e, g, false)
		}
	}
	t.endDrains(e)
}

// blockedByDependents reports whether a service that depends on e is to rest
// as well and does not do so yet.
func (t *step) blockedByDependents(e *edit) bool {
	for _, name := range t.state.graph.dependents[e.Name] {
		s, ok := t.get(name)
		if ok && s.rests() && s.runs() && t.state.graph.above(name, e.Name) {
			return true
		}
	}
	return false
}

// stop ends a generation; what the runtime never heard of is over at once.
func (t *step) stop(e *edit, g *Generation, kill bool) {
	switch {
	case g.Phase.Final() || g.Phase == PhaseStopping:
		return
	case g.Phase == PhaseBuilding:
		t.emit(Cancel{e.id(g.Number)})
		g.to(PhaseStopped, t.now)
	case g.Phase == PhasePending:
		g.to(PhaseStopped, t.now)
	default:
		g.to(PhaseStopping, t.now)
		t.emit(Stop{ID: e.id(g.Number), Kill: kill})
	}
	g.Cause, g.Deadline, g.Queued, g.Admitted = Cause{}, time.Time{}, false, false
}

// prune forgets generations that ended, but for the last outcome: what failed
// while it is wanted, and what completed.
func (e *edit) prune() {
	last := uint64(0)
	if g := e.latest(); g != nil && (e.wanted() || g.Plan.OneShot && g.Phase == PhaseCompleted && !e.Gone) {
		last = g.Number
	}
	e.discard(func(g *Generation) bool { return g.Phase.Final() && g.Number != last })
}

// discard removes the generations that are over by the given rule. e's slice
// is its own: edit has cloned it.
func (e *edit) discard(over func(g *Generation) bool) {
	kept := e.Generations[:0]
	for i := range e.Generations {
		if !over(&e.Generations[i]) {
			kept = append(kept, e.Generations[i])
		}
	}
	clear(e.Generations[len(kept):])
	e.Generations = kept
}

func (s *Service) id(number uint64) ID { return ID{Name: s.Name, Number: number} }
