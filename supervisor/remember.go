package supervisor

// New returns the state of a daemon that starts: what was remembered, and
// nothing known about the present. limit is State.Limit; 0 means DefaultLimit.
// After a reboot nothing runs any more, and only what was asked to be kept is
// still wanted.
func New(limit int, remembered []Service, rebooted bool) State {
	if limit <= 0 {
		limit = DefaultLimit
	}
	s := State{Services: make(map[Name]*Service, len(remembered)), Limit: limit}
	for _, service := range remembered {
		service = service.Remembered()
		if rebooted {
			service.reboot()
		}
		if g := service.generation(service.Routed); g != nil {
			g.WasReady = true
		}
		s.Services[service.Name] = &service
	}
	s.derive()
	return s
}

// reboot forgets all that was, also what was found bad, as the machine may
// have been the reason.
func (s *Service) reboot() {
	s.Generations = nil
	s.Routed, s.Served, s.Held = 0, 0, false
	s.Rejected, s.Cause = "", Cause{}
	s.Awake, s.Asleep, s.Owed, s.Trigger = false, false, "", "started"
	s.Want.Up = s.Want.Up && s.Want.Keep
}

// Remembered returns the part of s that must survive the daemon: wants and
// decisions, and outcomes that the runtime may forget. What the runtime will
// report again is left out, so that it does not change with each start,
// probe and exit of an instance.
func (s Service) Remembered() Service {
	generations := s.Generations
	s.Generations = nil
	for _, g := range generations {
		s.Generations = append(s.Generations, g.remembered())
	}
	return s
}

func (g Generation) remembered() Generation {
	kept := Generation{Number: g.Number, Plan: g.Plan, Nonce: g.Nonce, Trigger: g.Trigger, Built: g.Built, Phase: g.Phase}
	switch {
	case g.Phase.Final():
		kept.Since, kept.Cause = g.Since, g.Cause
		kept.WasReady = g.WasReady
	case g.Phase == PhaseDraining:
		kept.Deadline = g.Deadline
	case g.Phase == PhaseStopping:
		kept.Cause = g.Cause // set when it was found bad
	case g.live() && g.sent():
		kept.Phase = PhaseStarting
	}
	return kept
}
