package supervisor

import (
	"cmp"
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
// traffic is held, as callers wait there, then in dependency order, then by
// name. It reports whether it gave any.
func (t *step) grant() bool {
	t.flush()
	waiting := t.slots()
	granted := false
	for _, s := range waiting {
		// Looked at again: what was granted before may have taken a
		// dependency away.
		now, _ := t.get(s.name)
		if g := now.fresh(); g == nil || !g.Queued {
			continue
		}
		e := t.edit(s.name)
		t.admit(e, e.fresh())
		t.settle()
		granted = true
	}
	return granted
}

// waiter is a service that waits for a slot.
type waiter struct {
	name Name
	held bool
}

// slots counts the free slots and returns as many of those who wait, at most, in
// the order of grants. Of a thousand that wait only a few can be next, so they are
// picked and not sorted.
func (t *step) slots() (next []waiter) {
	free := t.state.Limit
	waits := 0
	for _, s := range t.state.Services {
		for i := range s.Generations {
			g := &s.Generations[i]
			if g.Queued {
				waits++
			} else if g.holdsSlot(t.now) {
				free--
			}
		}
	}
	if free <= 0 || waits == 0 {
		return nil
	}
	for name, s := range t.state.Services {
		for i := range s.Generations {
			if s.Generations[i].Queued {
				next = t.pick(next, waiter{name, s.Held}, free)
			}
		}
	}
	return next
}

// pick adds w to the best few, in their order, if it is one of them.
func (t *step) pick(best []waiter, w waiter, few int) []waiter {
	at, _ := slices.BinarySearchFunc(best, w, func(a, b waiter) int {
		return cmp.Or(compareTrueFirst(a.held, b.held), t.state.graph.compare(a.name, b.name))
	})
	if at == few {
		return best
	}
	best = slices.Insert(best, at, w)
	return best[:min(len(best), few)]
}

func compareTrueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
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

// Wake returns the earliest time at which a Ticked would change something.
func (s State) Wake() (time.Time, bool) {
	var drained, slot time.Time
	if !s.Synced {
		return time.Time{}, false
	}
	waits := false
	for _, service := range s.Services {
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
