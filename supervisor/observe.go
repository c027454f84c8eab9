package supervisor

import (
	"cmp"
	"slices"
	"time"
)

// find returns the service and generation that an event is about, nil when
// they are not known or the generation is over: the event is stale then.
func (t *step) find(id ID) (*edit, *Generation) {
	s, ok := t.get(id.Name)
	if !ok {
		return nil, nil
	}
	if g := s.generation(id.Number); g == nil || g.Phase.Final() {
		return nil, nil
	}
	e := t.edit(id.Name)
	return e, e.generation(id.Number)
}

func (t *step) built(b Built) {
	_, g := t.find(b.ID)
	switch {
	case g == nil || g.Phase != PhaseBuilding:
	case b.OK:
		g.Built = true
		g.to(PhasePending, t.now)
	default:
		g.Cause = b.Cause
		g.Cause.Kind = cmp.Or(g.Cause.Kind, CauseBuild)
		g.to(PhaseFailed, t.now)
	}
}

func (t *step) refused(r Refused) {
	if _, g := t.find(r.ID); g != nil && g.Phase == PhaseStarting && !g.Known {
		g.Cause = r.Cause
		g.Cause.Kind = cmp.Or(g.Cause.Kind, CauseStart)
		g.to(PhaseFailed, t.now)
	}
}

func (t *step) drained(d Drained) {
	if _, g := t.find(d.ID); g != nil && g.Phase == PhaseDraining {
		g.Deadline = t.now
	}
}

// ticked has every service decided again for which time has run out.
func (t *step) ticked() {
	for name, s := range t.all() {
		for i := range s.Generations {
			if g := &s.Generations[i]; g.Phase == PhaseDraining && !t.now.Before(g.Deadline) {
				t.edit(name)
			}
		}
	}
}

func (t *step) reported(r Reported) {
	e, g := t.find(r.ID)
	if g == nil {
		t.stranger(r)
		return
	}
	at := t.at(r.Time)
	e.Last = max(e.Last, r.ID.Number)
	if !g.sent() && !e.meet(g, r, at) {
		return
	}
	g.Confirmed, g.Known = true, true
	g.Restarts = r.Restarts
	switch r.Phase {
	case ReportedStopped, ReportedCompleted, ReportedFailed:
		g.end(r, at)
	case ReportedStopping:
		if g.live() {
			g.Cause = Cause{} // somebody else stopped it
		}
		g.to(PhaseStopping, at)
	case ReportedBackoff:
		if g.live() {
			if !g.Until.Equal(r.Until) {
				g.Since = at // another wait; Traffic asks how long it is
			}
			g.to(PhaseBackoff, at)
			g.Until = r.Until
		}
	case ReportedRunning:
		if g.Phase == PhaseBackoff {
			g.Until = time.Time{}
			g.to(g.unready(), at)
		}
		g.hindered(r.Reason)
		t.look(g, at)
	}
}

// hindered notes what keeps an instance from being started, which a runtime
// says of a generation that it goes on trying to run: a cluster may find no
// node for it. With the reason gone, so is the cause.
func (g *Generation) hindered(reason string) {
	switch {
	case reason != "" && (g.Phase == PhaseStarting || g.Phase == PhaseUnready):
		g.Cause = Cause{Kind: CauseStart, Text: reason}
	case reason == "" && g.Phase == PhaseStarting && g.Cause.Kind == CauseStart:
		g.Cause = Cause{}
	}
}

// meet handles the report of a generation that was never asked for: another
// has used its number. It is taken for ours when it runs the same, and
// stopped when not. It returns false when nothing is left to be noted.
func (e *edit) meet(g *Generation, r Reported, at time.Time) bool {
	g.Queued, g.Admitted, g.Cause = false, false, Cause{}
	switch {
	case r.Phase.final():
		g.to(PhaseStopped, at)
		return false
	case r.Revision != g.Plan.Revision:
		g.to(PhaseStopping, at)
	default:
		g.to(PhaseStarting, at)
	}
	return true
}

// end makes g final. One that was told to stop has stopped, however it ended,
// but a one-shot that was quicker has completed.
func (g *Generation) end(r Reported, at time.Time) {
	g.Until, g.Deadline = time.Time{}, time.Time{}
	switch {
	case r.Phase == ReportedCompleted && (g.live() || g.Plan.OneShot):
		g.Cause = Cause{}
		g.to(PhaseCompleted, at)
	case r.Phase == ReportedStopped || !g.live() && g.Cause.Kind == "":
		g.to(PhaseStopped, at)
	default:
		if g.live() && r.Lost {
			g.Cause = Cause{Kind: CauseRuntime, Text: cmp.Or(r.Reason, "the runtime died")}
		} else if g.live() {
			g.Cause = Cause{Kind: cmp.Or(g.Cause.Kind, CauseExit), Text: cmp.Or(r.Reason, g.Cause.Text)}
		}
		g.to(PhaseFailed, at)
	}
}

func (p ReportedPhase) final() bool {
	return p == ReportedStopped || p == ReportedCompleted || p == ReportedFailed
}

// stranger handles a generation that the state does not know. It takes the
// place of the one that is wanted when there is none, else it is stopped: it
// becomes part of the state, so that nobody starts beside it what must be
// alone, and the state knows when it is gone. When the memory of what was
// wanted is lost, it is what was wanted.
func (t *step) stranger(r Reported) {
	s, ok := t.get(r.ID.Name)
	if t.state.Observing && !r.Phase.final() {
		t.sighted(r)
		return
	}
	if r.Phase.final() {
		switch {
		case !ok:
			t.spend(r.ID.Name, r.ID.Number)
		case r.ID.Number > s.Last:
			t.edit(r.ID.Name).Last = r.ID.Number
		}
		return
	}
	if ok && t.state.Synced && r.ID.Number <= s.Last {
		// It was ended before: the report is stale, or a Start that was
		// refused worked nonetheless. A Stop is right either way.
		t.commands = append(t.commands, Stop{ID: r.ID})
		return
	}
	if !ok && t.state.Bereft {
		t.create(Service{Name: r.ID.Name, Orphan: true, Plan: Plan{Revision: r.Revision}, Want: Want{Up: true}})
	} else if !ok {
		t.create(Service{Name: r.ID.Name, Gone: true})
	}
	e := t.edit(r.ID.Name)
	e.discard(func(g *Generation) bool { return g.Number == r.ID.Number })
	g := Generation{
		Number: r.ID.Number, Plan: e.Plan, Nonce: e.Want.Nonce, Trigger: "it was found running", Built: true, Phase: PhaseStopping,
		Since: t.at(r.Time), Confirmed: true, Known: true, Restarts: r.Restarts,
	}
	if e.adopts(r) {
		g.Phase = PhaseStarting
		e.Trigger, e.Awake = g.Trigger, e.Plan.onDemand() // somebody uses it
	} else {
		g.Plan.Revision = r.Revision
		t.commandWhenSynced(Stop{ID: r.ID})
	}
	e.Last = max(e.Last, g.Number)
	e.Generations = append(e.Generations, g)
	slices.SortFunc(e.Generations, func(a, b Generation) int { return cmp.Compare(a.Number, b.Number) })
}

// commandWhenSynced gives a command now, or leaves it to Synced, when all
// that hold are given anyway.
func (t *step) commandWhenSynced(c Command) {
	if t.state.Synced {
		t.emit(c)
	}
}

// adopts reports whether a stranger is as good as a generation of our own.
func (e *edit) adopts(r Reported) bool {
	if !e.wanted() || r.Revision != e.Plan.Revision || r.Phase == ReportedStopping || e.blocked() {
		return false
	}
	return !slices.ContainsFunc(e.Generations, func(g Generation) bool { return g.live() })
}

// at returns when something happened, as far as that is known.
func (t *step) at(when time.Time) time.Time {
	if when.IsZero() {
		return t.now
	}
	return when
}
