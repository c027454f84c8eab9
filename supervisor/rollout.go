package supervisor

import "time"

// advance takes the wanted generation as far as it can go now.
func (t *step) advance(e *edit, g *Generation) {
	switch {
	case g.Phase == PhasePending:
		t.prepare(e, g)
	case g.Phase == PhaseReady && g.Number != e.Routed && !g.Plan.OneShot:
		t.route(e, g)
	}
}

// prepare starts g, or has it wait for a slot, or for what it depends on, or
// for the end of a predecessor that it must not meet.
func (t *step) prepare(e *edit, g *Generation) {
	met, cause := t.needs(&e.Service)
	g.Cause = cause
	crowded := e.crowded(g)
	switch {
	case !met:
		g.Queued, g.Admitted = false, false
	case crowded && e.serving() == nil:
		g.Queued = false // they end already
	case !crowded && g.Admitted && g.holdsSlot(t.now):
		t.start(e, g)
	default:
		g.Queued, g.Admitted = true, false
	}
}

// crowded reports whether g has to wait for others of its service to end. A
// one-shot's runs never meet, nor do generations that are not said to overlap.
func (e *edit) crowded(g *Generation) bool {
	for i := range e.Generations {
		if other := &e.Generations[i]; other.running() && other.Number != g.Number && (g.alone() || other.alone()) {
			return true
		}
	}
	return false
}

// alone: only what is said to overlap does. A signal, or nothing, answers a
// save; it does not say that a restart may run two at once on the same data.
func (g *Generation) alone() bool {
	return g.Plan.OneShot || g.Plan.Reload != ReloadOverlap && g.Plan.Reload != ""
}

// start hands g to the runtime.
func (t *step) start(e *edit, g *Generation) {
	g.Queued, g.Admitted, g.Cause = false, false, Cause{}
	g.Phase, g.Since = PhaseStarting, t.now
	t.emit(Start{ID: e.id(g.Number), Trial: e.serving() != nil})
}

// route gives the traffic to g and drains the one that had it. There is no
// way back from here but a new generation.
func (t *step) route(e *edit, g *Generation) {
	t.emit(Route{e.id(g.Number)})
	t.retire(e, g.Number)
	e.Held = false
	e.Rejected, e.Cause = "", Cause{}
	t.served(e, g.Number)
}

// retire ends the routed generation, now that its traffic goes to next, or to
// nobody (0). One that is Proxied finishes what it serves first; through to
// others nothing passes that could be waited for, and the dead serve nobody.
func (t *step) retire(e *edit, next uint64) {
	old := e.serving()
	e.Routed = next
	switch {
	case old == nil:
		return
	case !old.Plan.Proxied || !old.alive():
		t.stop(e, old, false)
		return
	}
	t.hurry(e, next)
	old.to(PhaseDraining, t.now)
	old.Deadline = t.now.Add(e.Plan.drain())
	t.emit(Drain{ID: e.id(old.Number), Limit: e.Plan.drain()})
}

// While one generation begins to drain, those that drain already are given
// hurried, which is enough for requests: one that was let in a moment ago may
// not even have been sent. Streams end then, so that saves in a row leave no
// pile, and of one without pauses drainMost at most are there.
const (
	hurried   = time.Second
	drainMost = 3
)

// hurry shortens the drains under way, as one more begins. Where the next one
// waits for them (0) they end now.
func (t *step) hurry(e *edit, next uint64) {
	kept := 0
	for i := len(e.Generations) - 1; i >= 0; i-- { // the newest first
		g := &e.Generations[i]
		switch {
		case g.Phase != PhaseDraining:
		case next == 0 || kept == drainMost-1:
			t.stop(e, g, false)
		default:
			kept++
			g.Deadline = earlier(g.Deadline, t.now.Add(hurried))
		}
	}
}

func (p *Plan) drain() time.Duration {
	if p.Drain > 0 {
		return p.Drain
	}
	return DefaultDrain
}

// served notes that another generation does the service's work, and gives
// dependents that asked for it a new one too.
func (t *step) served(e *edit, number uint64) {
	before := e.Served
	e.Served = number
	if before == 0 || before == number {
		return
	}
	for _, name := range t.state.graph.dependents[e.Name] {
		s, ok := t.get(name)
		if !ok || !s.wanted() || !t.state.graph.above(name, e.Name) || !s.restartsWith(e.Name.Service) {
			continue
		}
		if g := s.fresh(); g != nil && g.sent() {
			t.edit(name).renew(e.Name.Service + " got a new generation")
		}
	}
}

func (s *Service) restartsWith(service string) bool {
	for _, d := range s.Plan.DependsOn {
		if d.Service == service && d.Restart {
			return true
		}
	}
	return false
}

// endDrains stops what has drained for long enough.
func (t *step) endDrains(e *edit) {
	for i := range e.Generations {
		if g := &e.Generations[i]; g.Phase == PhaseDraining && !t.now.Before(g.Deadline) {
			t.stop(e, g, false)
		}
	}
}

// holdTraffic makes callers wait while something is on its way to serve
// them, and turns them away when nothing is. before: whether they waited.
func (t *step) holdTraffic(e *edit, before bool) {
	switch {
	case e.Held && e.fresh() == nil:
		e.Held = false
		t.emit(Unroute{e.Name})
	case e.Held && !before:
		t.emit(Hold{e.Name})
	}
}
