package supervisor

// decide makes what there is of a service follow what is wanted of it, as far
// as that is possible now. Decided twice, nothing more happens.
func (t *step) decide(e *edit) {
	t.doze(e)
	switch {
	case !e.wanted():
		t.down(e)
	case e.Asleep:
		t.sleep(e)
	default:
		t.up(e)
	}
	e.prune()
	if e.Gone && len(e.Generations) == 0 {
		t.emit(Drop{e.Name})
		t.spend(e.Name, e.Last)
		e.dropped = true
	}
}

func (t *step) up(e *edit) {
	held, lost := e.Held, e.lost()
	e.unrouteDead()
	t.judge(e)
	t.signal(e)
	t.supersede(e)
	if e.fresh() == nil && !e.blocked() {
		if lost != "" {
			e.Trigger = lost
		}
		t.generate(e)
	}
	if g := e.fresh(); g != nil {
		t.advance(e, g)
	} else if e.completed() {
		t.served(e, e.latest().Number)
	}
	t.endDrains(e)
	t.holdTraffic(e, held)
}

// lost returns, in words, what took away a generation that nobody asked to be
// replaced; empty when nothing did.
func (e *edit) lost() string {
	latest := e.latest()
	if latest == nil {
		if g := e.generation(e.Routed); g != nil && e.upToDate(g) {
			return "it was stopped by somebody else"
		}
		return ""
	}
	if latest.Phase == PhaseFailed && latest.Cause.Kind == CauseRuntime && e.upToDate(latest) {
		return latest.Cause.Text
	}
	return ""
}

// unrouteDead takes note that the routed generation is not there any more.
func (e *edit) unrouteDead() {
	if e.Routed == 0 || e.serving() != nil {
		return
	}
	g := e.generation(e.Routed)
	e.Routed, e.Held = 0, true
	if g == nil || g.Phase != PhaseCompleted && (g.Phase != PhaseFailed || g.Cause.Kind == CauseRuntime) {
		e.retry() // it was taken away: even a rejected revision is better than none
	}
}

// retry forgets what was found bad, so that it is tried again.
func (e *edit) retry() {
	e.Rejected, e.Cause = "", Cause{}
	e.discard(func(g *Generation) bool {
		return g.Phase == PhaseFailed || g.Phase == PhaseCompleted && !g.Plan.OneShot
	})
}

// judge marks a generation bad that ended before it was routed. Beside one
// that serves it is not even given a second attempt.
func (t *step) judge(e *edit) {
	serving := e.serving()
	latest := e.latest()
	if latest == nil || !e.upToDate(latest) || latest.Number == e.Served {
		return
	}
	switch {
	case latest.Phase == PhaseCompleted && serving != nil && !latest.Plan.OneShot:
		latest.Phase = PhaseFailed
		latest.Cause = Cause{Kind: CauseExit, Text: "it ended before it was ready"}
		e.reject(latest)
	case latest.Phase == PhaseFailed && latest.Cause.Kind != CauseRuntime:
		e.reject(latest)
	case latest.running() && latest.live() && serving != nil && serving.Number != latest.Number &&
		!latest.WasReady && latest.died():
		cause := latest.Cause
		cause.Text = "ended before it was ready: " + cause.Text // as the runtime says, which may be a moment later
		t.stop(e, latest, true)
		latest.Cause = cause
		e.reject(latest)
	}
}

func (e *edit) reject(g *Generation) {
	e.Rejected, e.Cause = g.Plan.Revision, g.Cause
}

// supersede ends what is on its way but is not wanted any more. The one that
// serves is not among those: it goes when its successor is routed.
func (t *step) supersede(e *edit) {
	fresh := uint64(0)
	if g := e.fresh(); g != nil {
		fresh = g.Number
	}
	for i := range e.Generations {
		if g := &e.Generations[i]; g.live() && g.Number != fresh && g.Number != e.Routed {
			t.stop(e, g, !g.WasReady)
		}
	}
}

// blocked reports whether nothing new is to be tried: what is wanted has
// completed, or was found bad.
func (e *edit) blocked() bool {
	if e.Rejected != "" && e.Rejected == e.Plan.Revision {
		return true
	}
	latest := e.latest()
	if latest == nil || !e.upToDate(latest) {
		return false
	}
	return latest.Phase == PhaseCompleted || latest.Phase == PhaseFailed && latest.Cause.Kind != CauseRuntime
}

// generate makes a new generation.
func (t *step) generate(e *edit) {
	e.Last++
	e.Made = t.now
	g := Generation{
		Number: e.Last, Plan: e.Plan, Nonce: e.Want.Nonce, Trigger: e.Trigger, Phase: PhasePending, Since: t.now,
	}
	if e.Plan.Build {
		g.Phase = PhaseBuilding
		t.emit(Build{e.id(g.Number)})
	}
	e.Generations = append(e.Generations, g)
}
