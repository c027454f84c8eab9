package supervisor

// WaitsFor returns the dependencies that a service must still wait for before
// its next generation can start; nil when none is on its way.
func (s State) WaitsFor(name Name) []Dependency {
	service, ok := s.Services[name]
	if !ok || service.rests() {
		return nil
	}
	if latest := service.latest(); latest != nil && latest.sent() {
		return nil
	}
	var unmet []Dependency
	for _, d := range service.Plan.DependsOn {
		need, ok := s.Services[name.sibling(d.Service)]
		if !ok || !need.meets(d.Condition) {
			unmet = append(unmet, d)
		}
	}
	return unmet
}

// meets reports whether the service is what a dependent needs it to be. What
// is wanted of it does not matter here, only what there is.
func (s *Service) meets(c Condition) bool {
	switch c {
	case ConditionCompleted:
		return s.completed()
	case ConditionHealthy:
		return s.healthy()
	}
	return s.started()
}

// completed: as wanted now, so a one-shot of another revision does not count.
func (s *Service) completed() bool {
	latest := s.latest()
	return latest != nil && latest.Phase == PhaseCompleted && s.upToDate(latest)
}

func (s *Service) healthy() bool {
	if s.Plan.OneShot {
		latest := s.latest()
		return s.completed() || latest != nil && latest.Phase == PhaseReady && s.upToDate(latest)
	}
	return s.Ready()
}

func (s *Service) started() bool {
	for i := range s.Generations {
		g := &s.Generations[i]
		if !g.live() || !g.sent() {
			continue
		}
		if g.WasReady {
			return true
		}
		for _, instance := range g.Instances {
			if instance.Exit == "" {
				return true
			}
		}
	}
	return s.completed()
}

// hopeless returns why the service will not meet c unless somebody acts, zero
// when it still may. The cause names where the trouble began, however far
// down that is.
func (s *Service) hopeless(c Condition) Cause {
	latest := s.latest()
	switch {
	case !s.wanted():
		return dependencyCause(s.Name.Service+" is down", "") // waits for the user
	case latest == nil:
		return Cause{}
	case latest.Phase == PhasePending && s.serving() == nil && latest.Cause.Kind == CauseDependency:
		return latest.Cause
	case latest.Phase == PhaseFailed && s.serving() == nil && latest.Cause.Kind != CauseRuntime:
		return dependencyCause(s.Name.Service+" failed", latest.Cause.Text)
	case latest.Phase == PhaseCompleted && s.serving() == nil && !s.meets(c) && s.upToDate(latest):
		return dependencyCause(s.Name.Service+" has ended", "")
	}
	return Cause{}
}

func dependencyCause(what, why string) Cause {
	if why != "" {
		what += ": " + why
	}
	return Cause{Kind: CauseDependency, Text: what}
}

// needs returns whether all that s depends on is as it must be, and if not,
// the cause when waiting alone will not help.
func (t *step) needs(s *Service) (met bool, cause Cause) {
	met = true
	for _, d := range s.Plan.DependsOn {
		need, ok := t.get(s.Name.sibling(d.Service))
		switch {
		case !ok || need.Gone:
			return false, dependencyCause(d.Service+" is not part of the project", "")
		case need.meets(d.Condition):
			continue
		}
		met = false
		if cause.Kind == "" {
			cause = need.hopeless(d.Condition)
		}
	}
	return met, cause
}
