package supervisor

import (
	"cmp"
	"slices"
	"time"
)

func (t *step) instanceStarted(s InstanceStarted) {
	g, i := t.instance(s.ID, s.Replica, s.Attempt, true)
	if i == nil || i.Exit != "" {
		return
	}
	at := t.at(s.Time)
	if i.Since.IsZero() {
		i.Since = at
	}
	i.PID, i.Endpoints = s.PID, s.Endpoints
	t.look(g, at)
}

func (t *step) instanceReady(r InstanceReady) {
	g, i := t.instance(r.ID, r.Replica, r.Attempt, false)
	if i == nil || i.Exit != "" {
		return
	}
	at := t.at(r.Time)
	if i.Ready != r.Ready {
		i.Ready, i.Since = r.Ready, at
	}
	i.Detail = r.Detail
	if !r.Ready && g.live() {
		g.Cause = Cause{Kind: CauseUnready, Text: r.Detail}
	}
	t.look(g, at)
}

func (t *step) instanceExited(x InstanceExited) {
	g, i := t.instance(x.ID, x.Replica, x.Attempt, true)
	if i == nil || i.Exit != "" {
		return
	}
	at := t.at(x.Time)
	if g.live() && !x.Success {
		g.Cause = Cause{Kind: CauseExit, Text: x.Text}
		if i.Since.IsZero() {
			g.Cause.Kind = CauseStart // it exited without having started
		} else if x.Memory {
			g.Cause.Kind = CauseMemory
		}
	}
	i.Ready, i.Since, i.Exit, i.Detail = false, at, cmp.Or(x.Text, "exited"), ""
	t.look(g, at)
}

// instance returns what an event is about; nil when the event is stale. With
// add, an attempt that is newer than the one known takes its place. It does
// not confirm its generation: only Reported, which comes first, does.
func (t *step) instance(id ID, replica, attempt int, add bool) (*Generation, *Instance) {
	e, g := t.find(id)
	if g != nil && add && e.Orphan {
		g.Plan.Replicas = max(g.Plan.Replicas, replica+1) // nobody else says how many there are
	}
	if g == nil || !g.sent() || replica < 0 || replica >= g.replicas() {
		return nil, nil
	}
	at, ok := slices.BinarySearchFunc(g.Instances, replica, func(i Instance, r int) int { return cmp.Compare(i.Replica, r) })
	switch {
	case ok && attempt == g.Instances[at].Attempt:
	case !add || ok && attempt < g.Instances[at].Attempt:
		return nil, nil
	case ok:
		g.Instances[at] = Instance{Replica: replica, Attempt: attempt}
	default:
		g.Instances = slices.Insert(g.Instances, at, Instance{Replica: replica, Attempt: attempt})
	}
	return g, &g.Instances[at]
}

func (g *Generation) replicas() int { return max(1, g.Plan.Replicas) }

// look makes the phase of a generation what its instances say. While the
// present is being reported it waits for all of it: else what is ready would
// seem to lose and regain that.
func (t *step) look(g *Generation, at time.Time) {
	if !t.state.Synced || !g.live() || !g.sent() {
		return
	}
	ready := 0
	for _, i := range g.Instances {
		if i.Ready {
			ready++
		}
	}
	switch {
	case ready == g.replicas():
		g.WasReady = true
		g.Cause = Cause{}
		g.to(PhaseReady, at)
	case g.Phase != PhaseBackoff: // that lasts until the runtime says otherwise
		g.to(g.unready(), at)
	}
}

// unready returns the phase of a generation that runs and is not ready.
func (g *Generation) unready() Phase {
	if g.WasReady {
		return PhaseUnready
	}
	return PhaseStarting
}
