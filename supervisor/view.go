package supervisor

import (
	"slices"
	"time"
)

// Service returns a service by name; for one that is not known, a Service
// that is not wanted and has never run.
func (s State) Service(name Name) Service {
	if known, ok := s.Services[name]; ok {
		return *known
	}
	return Service{Name: name}
}

// Phase returns where the service as a whole stands: the phase of its Current
// generation, seen in the light of what is wanted.
func (s Service) Phase() Phase {
	current, ok := s.Current()
	if s.rests() {
		switch {
		case s.runs():
			return PhaseStopping
		case ok && current.Phase == PhaseCompleted:
			return PhaseCompleted
		}
		return PhaseStopped
	}
	if !ok {
		return PhasePending
	}
	return current.Phase
}

// Current returns the generation that gets the traffic, else the newest of
// those that matter, else the newest.
func (s Service) Current() (Generation, bool) {
	if g := s.generation(s.Routed); g != nil {
		return *g, true
	}
	if g := s.latest(); g != nil {
		return *g, true
	}
	if len(s.Generations) == 0 {
		return Generation{}, false
	}
	return s.Generations[len(s.Generations)-1], true
}

// Next returns the generation that is on its way to take Current's place.
func (s Service) Next() (Generation, bool) {
	current, _ := s.Current()
	if g := s.latest(); g != nil && g.live() && g.Number > current.Number {
		return *g, true
	}
	return Generation{}, false
}

// Ready reports whether the service does what it is for: it serves, or, as a
// one-shot, has completed.
func (s Service) Ready() bool {
	if s.Plan.OneShot {
		return s.completed()
	}
	g := s.generation(s.Routed)
	return g != nil && g.Phase == PhaseReady
}

// Why returns the one cause of the service not being as wanted; zero when it
// is, or is on its way without trouble.
func (s Service) Why() Cause {
	switch {
	case s.Asleep:
		return Cause{Kind: CauseAsleep, Text: "starts on the first connection"}
	case s.Rejected != "":
		return s.Cause
	}
	if next, ok := s.Next(); ok && next.Cause.Kind != "" {
		return next.Cause
	}
	current, _ := s.Current()
	return current.Cause
}

// Same reports quickly whether Step has left s as it was in other, an earlier
// or later State's: it never changes a slice in place.
func (s Service) Same(other Service) bool {
	return s.Want == other.Want && s.Last == other.Last && s.Routed == other.Routed && s.Served == other.Served &&
		s.Held == other.Held && s.Awake == other.Awake && s.Asleep == other.Asleep && s.Owed == other.Owed &&
		s.Gone == other.Gone && s.Orphan == other.Orphan && s.Trigger == other.Trigger && s.Made.Equal(other.Made) &&
		s.Rejected == other.Rejected && s.Cause == other.Cause && s.Plan.alike(other.Plan) &&
		sameSlice(s.Plan.DependsOn, other.Plan.DependsOn) && sameSlice(s.Generations, other.Generations)
}

func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// wanted reports whether the service is to be up.
func (s *Service) wanted() bool { return s.Want.Up && !s.Gone }

// generation returns a generation by number, nil when there is none.
func (s *Service) generation(number uint64) *Generation {
	for i := range s.Generations {
		if s.Generations[i].Number == number {
			return &s.Generations[i]
		}
	}
	return nil
}

// latest returns the newest generation whose end nobody decided: one that
// serves or is on its way, or else the outcome of the last one. Nil when there
// is none.
func (s *Service) latest() *Generation {
	for i := len(s.Generations) - 1; i >= 0; i-- {
		if g := &s.Generations[i]; g.live() || g.Phase == PhaseFailed || g.Phase == PhaseCompleted {
			return g
		}
	}
	return nil
}

// runs reports whether the runtime may have something of the service.
func (s *Service) runs() bool {
	for i := range s.Generations {
		if s.Generations[i].running() {
			return true
		}
	}
	return false
}

// lives reports whether anything serves or is on its way to.
func (s *Service) lives() bool {
	return slices.ContainsFunc(s.Generations, func(g Generation) bool { return g.live() })
}

// serving returns the routed generation while it lives. A newer one that
// fails beside it is rejected; without it, it is all there is.
func (s *Service) serving() *Generation {
	if g := s.generation(s.Routed); g != nil && g.live() {
		return g
	}
	return nil
}

// upToDate reports whether g is what is wanted now.
func (s *Service) upToDate(g *Generation) bool {
	return g.Plan.Revision == s.Plan.Revision && g.Nonce == s.Want.Nonce
}

// fresh returns the newest generation that lives and is up to date.
func (s *Service) fresh() *Generation {
	for i := len(s.Generations) - 1; i >= 0; i-- {
		if g := &s.Generations[i]; g.live() && s.upToDate(g) {
			return g
		}
	}
	return nil
}

// live reports whether g serves or is on its way to: nobody decided its end.
func (g *Generation) live() bool {
	return !g.Phase.Final() && g.Phase != PhaseDraining && g.Phase != PhaseStopping
}

// sent reports whether the runtime was asked for g.
func (g *Generation) sent() bool { return g.Phase != PhasePending && g.Phase != PhaseBuilding }

// running reports whether the runtime may have something of g.
func (g *Generation) running() bool { return g.sent() && !g.Phase.Final() }

// alive reports whether an instance runs.
func (g *Generation) alive() bool {
	return slices.ContainsFunc(g.Instances, func(i Instance) bool { return i.Exit == "" })
}

// died reports whether an instance ended and has no successor yet.
func (g *Generation) died() bool {
	for _, i := range g.Instances {
		if i.Exit != "" {
			return true
		}
	}
	return false
}

// to changes the phase.
func (g *Generation) to(p Phase, at time.Time) {
	if g.Phase != p {
		g.Phase, g.Since = p, at
	}
}
