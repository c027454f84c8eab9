package supervisor

// onDemand: a one-shot is never, as nobody can call it.
func (p *Plan) onDemand() bool { return p.OnDemand && !p.OneShot }

// rests reports whether nothing of the service is to run.
func (s *Service) rests() bool { return !s.wanted() || s.Asleep }

// rouses reports whether the service keeps what it depends on awake. A
// one-shot needs nothing any more once it has completed.
func (s *Service) rouses() bool { return !s.rests() && !(s.Plan.OneShot && s.completed()) }

// woken: somebody waits for services to serve.
func (t *step) woken(w Woken) {
	for _, name := range w.Names {
		s, ok := t.get(name)
		if !ok || !s.wanted() || !s.Plan.onDemand() || s.Awake {
			continue
		}
		e := t.edit(name)
		e.Awake = true
		if e.Asleep {
			e.Trigger = "somebody connected"
		}
	}
}

func (t *step) idled(i Idled) {
	s, ok := t.get(i.Name)
	if !ok || !s.Awake || s.Routed == 0 && s.fresh() != nil {
		return
	}
	t.edit(i.Name).Awake = false
}

// doze decides whether e sleeps.
func (t *step) doze(e *edit) {
	before := e.Asleep
	e.Asleep = false
	if !e.wanted() || !e.Plan.onDemand() || e.Awake {
		return
	}
	by, needed := t.neededBy(e.Name)
	e.Asleep = !needed
	if before && needed {
		e.Trigger = by.Service + " needs it"
	}
}

// neededBy returns a service that is awake by itself and depends on name,
// maybe by way of others that would sleep without it. It looks only at what
// was asked and observed, never at what was decided (Asleep): so the order of
// decisions within a step does not matter.
func (t *step) neededBy(name Name) (Name, bool) {
	seen := map[Name]bool{name: true}
	for todo := []Name{name}; len(todo) > 0; todo = todo[1:] {
		for _, above := range t.state.graph.dependents[todo[0]] {
			s, ok := t.get(above)
			if !ok || !s.wanted() || seen[above] || !t.state.graph.above(above, todo[0]) {
				continue
			}
			seen[above] = true
			switch {
			case s.Plan.onDemand() && !s.Awake:
				todo = append(todo, above)
			case !s.Plan.OneShot || !s.completed():
				return above, true
			}
		}
	}
	return Name{}, false
}

// sleep ends everything as down does, but callers wait from now on: they wake
// it. What it serves still is finished first. What was found bad is forgotten,
// so that a caller who comes later is not turned away for it.
func (t *step) sleep(e *edit) {
	waits := t.blockedByDependents(e)
	e.Owed = ""
	e.retry()
	if (e.Routed != 0 || !e.Held) && (!waits || e.serving() == nil) {
		e.Held = true
		t.emit(Hold{e.Name})
		t.retire(e, 0)
	}
	for i := range e.Generations {
		if g := &e.Generations[i]; g.Phase != PhaseDraining && (!waits || !g.running()) {
			t.stop(e, g, false)
		}
	}
	t.endDrains(e)
}
