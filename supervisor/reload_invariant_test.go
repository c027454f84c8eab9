package supervisor

import "fmt"

// checkDrains: only what callers reach through the gateway is waited for, and
// that always; nobody is sent to it meanwhile.
func (m *model) checkDrains(before State, commands []Command) error {
	elsewhere := make(map[Name]bool) // the traffic goes there since this step
	for _, c := range commands {
		switch c := c.(type) {
		case Route:
			elsewhere[c.ID.Name] = true
		case Hold:
			elsewhere[c.Name] = true
		case Unroute:
			elsewhere[c.Name] = true
		case Drain:
			g := ptr(m.state.Service(c.ID.Name)).generation(c.ID.Number)
			if !elsewhere[c.ID.Name] || g == nil || g.Phase != PhaseDraining {
				return fmt.Errorf("%s: drains what callers are sent to", word(c))
			}
			if was := ptr(before.Service(c.ID.Name)).generation(c.ID.Number); !g.Plan.Proxied && (was == nil || was.Phase != PhaseDraining) {
				return fmt.Errorf("%s: nothing passes us to it", word(c))
			}
		case Stop:
			s, old := m.state.Service(c.ID.Name), before.Service(c.ID.Name)
			g := s.generation(c.ID.Number)
			had := before.Synced && old.Routed == c.ID.Number && old.serving() != nil
			if had && s.wanted() && g != nil && g.Plan.Proxied && g.alive() && g.Phase == PhaseStopping {
				return fmt.Errorf("%s: stops what has callers", word(c))
			}
		}
	}
	return nil
}

// checkTraffic: who is sent somewhere is sent to what is ready, who waits does
// not wait for nothing, and who is turned away is told why.
func (m *model) checkTraffic(s Service) error {
	if !m.state.Synced {
		return nil
	}
	traffic := s.Traffic()
	switch traffic.State {
	case TrafficServing:
		if g := s.serving(); g == nil || g.Number != traffic.Generation {
			return fmt.Errorf("callers are sent to %d", traffic.Generation)
		}
		for _, i := range traffic.Instances {
			if !i.Ready || i.Exit != "" {
				return fmt.Errorf("callers are sent to %+v", i)
			}
		}
		if len(traffic.Instances) == 0 {
			return fmt.Errorf("callers are sent to nobody")
		}
	case TrafficHeld:
		if !s.Asleep && !s.lives() || !s.wanted() || s.Plan.OneShot {
			return fmt.Errorf("callers wait for nothing")
		}
	case TrafficDown:
		if s.Ready() && !s.Plan.OneShot {
			return fmt.Errorf("callers are turned away from what is ready")
		}
		if traffic.Cause.Kind == "" || traffic.Cause.Text == "" {
			return fmt.Errorf("callers are turned away without a word")
		}
	}
	if len(traffic.Draining) > drainMost {
		return fmt.Errorf("%d drain", len(traffic.Draining))
	}
	return nil
}

// checkSleep: asleep is what is on demand, wanted, not called, and not needed
// by anything awake; nothing else.
func (m *model) checkSleep(s Service) error {
	if m.state.Synced && s.Asleep != (s.wanted() && !m.runs(s)) {
		return fmt.Errorf("asleep is %v", s.Asleep)
	}
	if m.state.Synced && s.rests() && s.Owed != "" {
		return fmt.Errorf("a signal is owed to one that rests")
	}
	return nil
}

// runs says in the plainest way what doze finds out with care.
func (m *model) runs(s Service) bool {
	if !s.Plan.OnDemand || s.Plan.OneShot || s.Awake {
		return true
	}
	for _, above := range m.state.Services {
		needs := above.wanted() && !(above.Plan.OneShot && above.completed())
		for _, d := range above.Plan.DependsOn {
			if needs && d.Service == s.Name.Service && m.runs(*above) {
				return true
			}
		}
	}
	return false
}

// restful: what sleeps when all is quiet does not run, and only the callers of
// such a one wait.
func restful(s Service) error {
	switch traffic := s.Traffic(); {
	case s.Asleep && s.lives():
		return fmt.Errorf("%s runs in its sleep", s.Name.Service)
	case s.Asleep != (traffic.State == TrafficHeld):
		return fmt.Errorf("%s: asleep is %v, callers are %s: %s", s.Name.Service, s.Asleep, traffic.State, traffic.Cause.Text)
	case s.Asleep && !s.Held:
		return fmt.Errorf("%s is asleep and does not wait for a call", s.Name.Service)
	}
	return nil
}

// checkTriggers: every generation says why it was made.
func checkTriggers(before State, s Service) error {
	for _, g := range s.Generations {
		if ours := g.Phase != PhaseStopping || !g.Known; ours && g.Number > before.Service(s.Name).Last && g.Trigger == "" {
			return fmt.Errorf("nobody knows why there is a generation %d", g.Number)
		}
	}
	return nil
}

// checkSaves holds a step of nothing but saves against what they promise.
func (m *model) checkSaves(before State, commands []Command, events []Event) error {
	named := make(map[Name]string)
	for _, e := range events {
		c, ok := e.(Changed)
		if !ok {
			return nil
		}
		for _, name := range c.Names {
			named[name] = c.Trigger
		}
	}
	for name, now := range m.state.Services {
		old := before.Service(name)
		if now.Want.Up != old.Want.Up || now.Awake != old.Awake {
			return fmt.Errorf("%s: a save changes what is wanted", name.Service)
		}
		if !old.wanted() && now.Want != old.Want {
			return fmt.Errorf("%s: a save changes what is down", name.Service)
		}
		if trigger, ok := named[name]; ok && before.Synced && now.wanted() && !now.Asleep && !now.Orphan {
			if err := saved(old, *now, trigger, commands); err != nil {
				return fmt.Errorf("%s: %w\n%s", name.Service, err, (&story{state: m.state}).dump())
			}
		}
	}
	return nil
}

// saved: what is up takes a save by its plan.
func saved(old, now Service, trigger string, commands []Command) error {
	signalled := false
	for _, c := range commands {
		if s, ok := c.(Signal); ok && s.ID.Name == now.Name {
			signalled = true
		}
	}
	fresh := now.fresh()
	renewed := fresh != nil && fresh.Number > old.Last
	switch {
	case now.Plan.Reload == ReloadNone && (signalled || now.Last != old.Last && fresh.Trigger == trigger):
		return fmt.Errorf("a save does something")
	case now.Plan.Reload == ReloadNone:
		return nil
	case renewed && (fresh.Trigger == "" || now.Rejected != ""):
		return fmt.Errorf("a save is tried as %q, rejected %q", fresh.Trigger, now.Rejected)
	case now.Plan.Reload == ReloadSignal && signalled == renewed:
		return fmt.Errorf("a save is told %v, tried %v", signalled, renewed)
	case now.Plan.Reload != ReloadSignal && (signalled || !renewed):
		return fmt.Errorf("a save is told %v, tried %v", signalled, renewed)
	}
	return nil
}
