package supervisor

import (
	"slices"
	"time"
)

// DefaultLimit is how many generations may be unready at once when New is not
// told: as on one core, where more only slow each other down.
const DefaultLimit = 2

// slotLimit is how long an unready generation keeps its slot. What has not
// come up after that waits for something and not for the CPU, so it may wait
// beside others: else a few services that never get ready would keep all
// others from being tried. The same holds for one that has ended once and
// goes on by its restart policy.
const slotLimit = 10 * time.Second

// holdsSlot reports whether g counts as one that comes up now.
func (g *Generation) holdsSlot(now time.Time) bool {
	comesUp := g.Phase == PhaseStarting || g.Phase == PhasePending && g.Admitted
	return comesUp && !g.WasReady && !g.failedOnce() && now.Before(g.Since.Add(slotLimit))
}

// failedOnce reports whether an instance ended, also one that has a successor.
func (g *Generation) failedOnce() bool {
	return g.Restarts > 0 || slices.ContainsFunc(g.Instances, func(i Instance) bool { return i.Exit != "" || i.Attempt > 1 })
}

// grant gives free slots to generations that wait for one: first where
// traffic is held, as callers wait there, and where the plan says so, then in dependency order, then by
// name. It reports whether it gave any.
func (t *step) grant() bool {
	t.flush()
	waiting := t.slots()
	granted := false
	for _, name := range waiting {
		// Looked at again: what was granted before may have taken a
		// dependency away.
		now, _ := t.get(name)
		if g := now.fresh(); g == nil || !g.Queued {
			continue
		}
		e := t.edit(name)
		t.admit(e, e.fresh())
		t.settle()
		granted = true
	}
	return granted
}

// slots counts the free slots and returns as many of those who wait, at most,
// in the order of grants.
func (t *step) slots() []Name {
	free := t.state.Limit
	var held, rest []Name
	for _, s := range t.state.restless {
		for i := range s.Generations {
			switch g := &s.Generations[i]; {
			case g.holdsSlot(t.now):
				free--
			case g.Queued && (s.Held || s.Plan.First):
				held = append(held, s.Name)
			case g.Queued && len(rest) < t.state.Limit: // no more can be next
				rest = append(rest, s.Name)
			}
		}
	}
	next := append(held, rest...)
	return next[:max(0, min(len(next), free))]
}

// admit gives a slot to g: it starts, or makes room for itself first.
func (t *step) admit(e *edit, g *Generation) {
	if !e.crowded(g) {
		t.start(e, g)
		return
	}
	g.Queued, g.Admitted, g.Since = false, true, t.now
	e.Held = true
	t.emit(Hold{e.Name})
	t.retire(e, 0)
}

// restless reports whether s waits for a slot or may hold one, or time alone
// changes something about it.
func (s *Service) restless() bool {
	return slices.ContainsFunc(s.Generations, func(g Generation) bool {
		return g.Queued || g.Phase == PhaseDraining || g.holdsSlot(g.Since)
	})
}

// Wake returns the earliest time at which a Ticked would change something.
func (s State) Wake() (time.Time, bool) {
	var drained, slot time.Time
	if !s.Synced {
		return time.Time{}, false
	}
	waits := false
	for _, service := range s.restless {
		for i := range service.Generations {
			switch g := &service.Generations[i]; {
			case g.Queued:
				waits = true
			case g.Phase == PhaseDraining:
				drained = earlier(drained, g.Deadline)
			case g.holdsSlot(g.Since):
				slot = earlier(slot, g.Since.Add(slotLimit))
			}
		}
	}
	if waits {
		drained = earlier(drained, slot)
	}
	return drained, !drained.IsZero()
}

// earlier returns the earlier of two times; a zero one does not count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
