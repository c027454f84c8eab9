package supervisor

import "cmp"

// changed notes a save. What is not up is left alone; what was taken over
// (Orphan) as well, as only a manifest knows what its files are.
func (t *step) changed(c Changed) {
	trigger := cmp.Or(c.Trigger, "its files changed")
	for _, name := range c.Names {
		s, ok := t.get(name)
		if !ok || !s.wanted() || s.Orphan {
			continue
		}
		switch s.Plan.Reload {
		case ReloadNone:
		case ReloadSignal:
			t.edit(name).Owed = trigger
		default:
			t.edit(name).reload(trigger)
		}
	}
}

// reload has a new generation made of what was saved, also where the last one
// was found bad.
func (e *edit) reload(trigger string) {
	e.retry()
	e.renew(trigger)
}

// signal tells what runs of a save that is owed to it. What cannot be told is
// replaced: one that starts may have read the old files already, and does not
// listen to the signal yet; one that is dead does not hear it.
func (t *step) signal(e *edit) {
	trigger := e.Owed
	if trigger == "" {
		return
	}
	e.Owed = ""
	g := e.fresh()
	if e.Plan.Reload == ReloadSignal && g != nil && (g.Phase == PhaseReady || g.Phase == PhaseUnready) {
		t.emit(Signal{ID: e.id(g.Number), Signal: e.Plan.Signal, Trigger: trigger})
		return
	}
	e.reload(trigger)
}
