package supervisor

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// check holds the commands and the new state against the promises.
func (m *model) check(before State, commands []Command) error {
	for _, c := range commands {
		if err := m.checkCommand(before, c); err != nil {
			return fmt.Errorf("%s: %w", word(c), err)
		}
	}
	if err := m.checkDrains(before, commands); err != nil {
		return err
	}
	holders := 0
	for name, s := range m.state.Services {
		if err := cmp.Or(m.checkService(*s), m.checkTraffic(*s), m.checkSleep(*s), checkTriggers(before, *s)); err != nil {
			return fmt.Errorf("%s: %w\n%s", name.Service, err, (&story{state: m.state}).dump())
		}
		if old, ok := before.Services[name]; ok && s.Last < old.Last {
			return fmt.Errorf("%s: numbers fall", name.Service)
		}
		for i := range s.Generations {
			if s.Generations[i].holdsSlot(m.now) {
				holders++
			}
		}
	}
	if granted := slices.ContainsFunc(commands, m.starts(before)); granted && holders > m.state.Limit {
		return fmt.Errorf("%d unready at once, limit %d", holders, m.state.Limit)
	}
	if m.state.graph != nil && !slices.Equal(m.state.restless, findRestless(m.state)) {
		return fmt.Errorf("restless: %d services, not the %d that are", len(m.state.restless), len(findRestless(m.state)))
	}
	if err := checkDiff(before, m.state); err != nil {
		return err
	}
	return nil
}

// checkDiff compares what Diff finds with a walk over both maps.
func checkDiff(before, after State) error {
	found := map[Name]bool{}
	for was, is := range Diff(before, after) {
		name := cmp.Or(was, is).Name
		if found[name] = true; was != before.Services[name] || is != after.Services[name] {
			return fmt.Errorf("%s changed from or to something else", name.Service)
		}
	}
	for name, s := range after.Services {
		if before.Services[name] != s && !found[name] {
			return fmt.Errorf("that %s changed is not known", name.Service)
		}
	}
	for name := range before.Services {
		if _, still := after.Services[name]; !still && !found[name] {
			return fmt.Errorf("that %s was removed is not known", name.Service)
		}
	}
	return nil
}

// starts matches commands that took a slot in this very step: those that
// repeat an earlier one do not.
func (m *model) starts(before State) func(Command) bool {
	return func(c Command) bool {
		s, ok := c.(Start)
		if !ok {
			return false
		}
		g := ptr(before.Service(s.ID.Name)).generation(s.ID.Number)
		return g == nil || !g.sent()
	}
}

func (m *model) checkCommand(before State, c Command) error {
	if !m.state.Synced {
		if _, ok := c.(Stop); !ok {
			return fmt.Errorf("given before Synced")
		}
		return nil
	}
	switch c := c.(type) {
	case Route:
		return m.checkRoute(before, c.ID)
	case Start:
		return m.checkStart(before, c)
	case Stop:
		s := m.state.Service(c.ID.Name)
		if s.Routed == c.ID.Number {
			return fmt.Errorf("stops what has the traffic")
		}
		if old := before.Service(c.ID.Name); c.Kill && old.Routed == c.ID.Number {
			return fmt.Errorf("kills what had traffic")
		}
	case Build:
		if s := m.state.Service(c.ID.Name); ptr(s).generation(c.ID.Number) == nil || s.rests() {
			return fmt.Errorf("unknown, or at rest")
		}
	case Signal:
		s := m.state.Service(c.ID.Name)
		g := s.generation(c.ID.Number)
		if g == nil || g.Phase != PhaseReady && g.Phase != PhaseUnready || !s.upToDate(g) || s.rests() || s.Plan.Reload != ReloadSignal {
			return fmt.Errorf("signals what cannot be told")
		}
	}
	return nil
}

func (m *model) checkRoute(before State, id ID) error {
	s := m.state.Service(id.Name)
	g := s.generation(id.Number)
	switch {
	case g == nil || !g.live():
		return fmt.Errorf("routes to the dead")
	case g.Phase != PhaseReady && before.Service(id.Name).Routed != id.Number:
		return fmt.Errorf("routes to what is %s", g.Phase)
	case s.Routed != id.Number:
		return fmt.Errorf("routed is %d", s.Routed)
	case s.rests() && before.Service(id.Name).Routed != id.Number: // else: serves until its dependents rest
		return fmt.Errorf("not wanted, or asleep")
	}
	return nil
}

func (m *model) checkStart(before State, c Start) error {
	s := m.state.Service(c.ID.Name)
	g := s.generation(c.ID.Number)
	if g == nil || g.Phase != PhaseStarting {
		return fmt.Errorf("starts what is not there")
	}
	if g.Plan.Build && !g.Built {
		return fmt.Errorf("not built")
	}
	if s.rests() {
		return fmt.Errorf("not wanted, or asleep")
	}
	if was, ok := m.numbers[c.ID]; ok && was != g.Plan.Revision+fmt.Sprint(g.Nonce) {
		return fmt.Errorf("number used for %q and %q", was, g.Plan.Revision)
	}
	m.numbers[c.ID] = g.Plan.Revision + fmt.Sprint(g.Nonce)
	if old := before.Service(c.ID.Name); ptr(old).generation(c.ID.Number) != nil && old.generation(c.ID.Number).sent() {
		return nil // repeated
	}
	for _, d := range s.Plan.DependsOn {
		need, ok := m.state.Services[c.ID.Name.sibling(d.Service)]
		if !ok || !need.meets(d.Condition) {
			return fmt.Errorf("%s is not %s", d.Service, d.Condition)
		}
	}
	for _, other := range s.Generations {
		if other.Number != g.Number && other.running() && (g.Plan.OneShot || g.Plan.Reload != ReloadOverlap || other.Plan.Reload != ReloadOverlap) {
			return fmt.Errorf("overlaps %d", other.Number)
		}
	}
	return nil
}

// checkService checks the bounds per service.
func (m *model) checkService(s Service) error {
	if !m.state.Synced {
		return nil
	}
	coming, draining, last := 0, 0, uint64(0)
	for _, g := range s.Generations {
		if g.Number <= last || g.Number > s.Last {
			return fmt.Errorf("generation %d after %d, last %d", g.Number, last, s.Last)
		}
		last = g.Number
		if g.live() && g.Number != s.Routed {
			coming++
		}
		if g.Phase == PhaseDraining {
			draining++
			if g.Deadline.IsZero() || g.Deadline.After(m.now.Add(10*time.Second)) {
				return fmt.Errorf("drains until %v", g.Deadline)
			}
		}
	}
	switch {
	case coming > 1:
		return fmt.Errorf("%d on their way", coming)
	case draining > drainMost:
		return fmt.Errorf("%d drain", draining)
	case s.Routed != 0 && s.serving() == nil:
		return fmt.Errorf("the dead are routed")
	case s.Held && s.fresh() == nil && !s.Asleep:
		return fmt.Errorf("held for nothing")
	}
	return nil
}

// converge lets everything work from now on, and expects that all that is
// wanted comes to be, and nothing else.
func (m *model) converge() error {
	if !m.attached {
		if err := m.attach(); err != nil {
			return err
		}
	}
	for range 400 {
		busy := len(m.stream) > 0 || len(m.builds) > 0
		if err := m.deliver(4); err != nil {
			return err
		}
		if err := m.build(); err != nil {
			return err
		}
		busy = m.live() || busy
		if at, ok := m.state.Wake(); ok && !busy {
			m.now = at
			if err := m.feed(Ticked{}); err != nil {
				return err
			}
			busy = true
		}
		if !busy {
			break
		}
	}
	if err := m.converged(); err != nil {
		return fmt.Errorf("does not converge: %w\n%s", err, (&story{state: m.state}).dump())
	}
	return m.survives()
}

func (m *model) converged() error {
	if !m.state.Synced {
		return fmt.Errorf("not synced")
	}
	for name, s := range m.state.Services {
		phase := s.Phase()
		switch {
		case s.Gone:
			return fmt.Errorf("%s is gone and still there", name.Service)
		case s.rests() && (s.runs() || phase != PhaseStopped && phase != PhaseCompleted):
			return fmt.Errorf("%s is not wanted and %s", name.Service, phase)
		case s.wanted() && !s.Ready() && s.Why().Kind == "" && phase != PhaseCompleted && !m.waitsForUnwanted(name):
			return fmt.Errorf("%s is wanted and %s, without a cause", name.Service, phase)
		case m.routes[name] != s.Routed:
			return fmt.Errorf("%s: route to %d, should be %d", name.Service, m.routes[name], s.Routed)
		case hasKey(m.routes, name) != (s.Routed != 0 || s.Held):
			return fmt.Errorf("%s: held is %v, and the gateway does not know", name.Service, s.Held)
		}
		if err := restful(*s); err != nil {
			return err
		}
		for _, g := range s.Generations {
			if g.Phase == PhaseDraining || g.Phase == PhaseStopping || g.Phase == PhaseBuilding {
				return fmt.Errorf("%s/%d still %s", name.Service, g.Number, g.Phase)
			}
		}
	}
	for _, id := range m.ids() {
		s := m.state.Service(id.Name)
		if g := s.generation(id.Number); !m.runtime[id].phase.final() && (g == nil || !g.running()) {
			return fmt.Errorf("%v runs and nobody knows", id)
		}
	}
	return nil
}

// waitsForUnwanted: the user took a dependency down, or something that is
// waited for waits for such a one.
func (m *model) waitsForUnwanted(name Name) bool {
	for _, d := range m.state.WaitsFor(name) {
		need := m.state.Service(name.sibling(d.Service))
		if !need.wanted() || m.waitsForUnwanted(need.Name) {
			return true
		}
	}
	return false
}

// survives: a new daemon comes to the same state as the old one.
func (m *model) survives() error {
	before := m.state
	m.rebirth(false)
	if err := m.attach(); err != nil {
		return err
	}
	for len(m.stream) > 0 {
		if err := m.deliver(3); err != nil {
			return err
		}
	}
	for name, was := range before.Services {
		is := m.state.Service(name)
		if is.Asleep != was.Asleep || is.Traffic().State != was.Traffic().State {
			return fmt.Errorf("after a crash %s has traffic %v, was %v", name.Service, is.Traffic(), was.Traffic())
		}
		if is.Phase() != was.Phase() || is.Routed != was.Routed || is.Last != was.Last || is.Why() != was.Why() {
			return fmt.Errorf("after a crash %s is %s (%d, routed %d, %v), was %s (%d, routed %d, %v)", name.Service,
				is.Phase(), is.Last, is.Routed, is.Why(), was.Phase(), was.Last, was.Routed, was.Why())
		}
	}
	return nil
}
