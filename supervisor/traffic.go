package supervisor

import (
	"cmp"
	"slices"
	"time"
)

// holdLimit is how long a restart may be away for callers to wait for it:
// longer than that they would rather be told. Clients commonly give up after
// 30 s, and are to have an answer well before.
const holdLimit = 10 * time.Second

// Traffic is what becomes of those who call a service.
type Traffic struct {
	State      TrafficState
	Generation uint64      // the routed one, 0 when there is none
	Instances  []Instance  // serving: those of Generation that are ready, at least one
	Awaited    *Generation // held: the one that is waited for, nil for one that is still to be woken
	Draining   []Draining  // these finish what they serve
	// Cause says why callers are turned away; of those that are held, what
	// they wait for, as far as there is something to say.
	Cause Cause
}

// TrafficState is what happens to a caller who comes now.
type TrafficState string

// The states of traffic.
const (
	TrafficServing TrafficState = "serving" //
	TrafficHeld    TrafficState = "held"    // waits: something is on its way, or is woken by the call
	TrafficDown    TrafficState = "down"    // is turned away with the Cause
)

// Draining is a generation that gets no new callers.
type Draining struct {
	Generation uint64
	Deadline   time.Time // it is stopped then, if not sooner
}

// Traffic derives it from the State alone. It holds only while the State is
// Synced: what a runtime that is away says last must stay in effect.
func (s Service) Traffic() Traffic {
	t := Traffic{Draining: s.draining()}
	serving := s.serving()
	if serving != nil {
		t.Generation = serving.Number
		t.Instances = serving.readyOnes()
	}
	fresh := s.fresh()
	switch {
	case len(t.Instances) > 0:
		t.State = TrafficServing
	case !s.wanted():
		t.State, t.Cause = TrafficDown, Cause{Kind: CauseDown, Text: "nobody has asked for it"}
	case s.Plan.OneShot:
		t.State, t.Cause = TrafficDown, Cause{Kind: CauseDown, Text: "it serves nobody: it runs once and ends"}
	case s.Asleep:
		t.State, t.Cause = TrafficHeld, s.Why()
	case serving != nil && serving.comes():
		t.State, t.Cause, t.Awaited = TrafficHeld, s.Why(), serving
	case fresh != nil && fresh.comes():
		t.State, t.Cause, t.Awaited = TrafficHeld, s.Why(), fresh
	default:
		t.State, t.Cause = TrafficDown, s.whyDown()
	}
	return t
}

func (s *Service) draining() []Draining {
	var all []Draining
	for i := range s.Generations {
		if g := &s.Generations[i]; g.Phase == PhaseDraining {
			all = append(all, Draining{g.Number, g.Deadline})
		}
	}
	return all
}

// readyOnes returns the instances that can serve.
func (g *Generation) readyOnes() []Instance {
	unready := func(i Instance) bool { return !i.Ready }
	if !slices.ContainsFunc(g.Instances, unready) {
		return g.Instances
	}
	return slices.DeleteFunc(slices.Clone(g.Instances), unready)
}

// comes reports whether g, which lives, may serve before long.
func (g *Generation) comes() bool {
	switch g.Phase {
	case PhasePending:
		return g.Cause.Kind != CauseDependency
	case PhaseBackoff:
		return g.Until.Sub(g.Since) <= holdLimit
	}
	return true
}

// whyDown is Why, where there must be a reason.
func (s *Service) whyDown() Cause {
	cause := s.Why()
	if cause.Text == "" {
		cause = Cause{Kind: cmp.Or(cause.Kind, CauseExit), Text: "it has ended"}
	}
	return cause
}
