package supervisor

import "slices"

// take applies one event: facts and requests are noted, nothing is decided.
func (t *step) take(e Event) {
	switch e := e.(type) {
	case Applied:
		t.applied(e)
	case Wanted:
		t.wantedAll(e)
	case Restarted:
		t.restarted(e)
	case Changed:
		t.changed(e)
	case Woken:
		t.woken(e)
	case Idled:
		t.idled(e)
	case Built:
		t.built(e)
	case Refused:
		t.refused(e)
	case Attached:
		t.attached(e.Observe)
	case Synced:
		t.synced()
	case Detached:
		t.state.Synced, t.resync = false, false
	case Reported:
		t.reported(e)
	case InstanceStarted:
		t.instanceStarted(e)
	case InstanceReady:
		t.instanceReady(e)
	case InstanceExited:
		t.instanceExited(e)
	case Drained:
		t.drained(e)
	case Ticked:
		t.ticked()
	}
}

func (t *step) applied(a Applied) {
	for name, s := range t.all() {
		if name.Environment != a.Environment || name.Project != a.Project || s.Gone {
			continue
		}
		if _, ok := a.Plans[name.Service]; !ok {
			t.edit(name).Gone = true
		}
	}
	var began []dependent
	for service, plan := range a.Plans {
		name := Name{a.Environment, a.Project, service}
		s, ok := t.get(name)
		if !ok {
			t.create(Service{Name: name, Plan: plan})
			continue
		}
		if !s.Gone && !s.Orphan && s.Plan.equal(plan) {
			continue
		}
		if s.Want.Up {
			began = append(began, dependent{addedNeeds(name, s.Plan, plan), s.Want.Keep})
		}
		if !slices.Equal(s.Plan.DependsOn, plan.DependsOn) {
			t.replan = true
			t.editNeeds(name, s.Plan) // nothing may need them any more
		}
		t.edit(name).replan(plan)
	}
	// What a wanted service has begun to depend on is taken along as by Up:
	// its next generation would wait for it for ever.
	for _, d := range began {
		t.want(d.needs, func(e *edit) {
			if !e.Want.Up {
				e.up(d.keep)
			}
		})
	}
}

// dependent is a wanted service with the needs that its new plan adds.
type dependent struct {
	needs []Name
	keep  bool
}

// all returns every service, for a range that edits some: edits do not change
// the map before the next flush.
func (t *step) all() map[Name]*Service {
	t.flush()
	return t.state.Services
}

// replan gives the service another plan, and those generations that run the
// very same thing what the plan says about them.
func (e *edit) replan(p Plan) {
	if e.Plan.Revision != p.Revision {
		e.retry()
		e.Trigger = "the manifest changed"
	}
	if p.onDemand() && !e.Plan.onDemand() && e.lives() {
		e.Awake = true // until it is found unused
	}
	orphan := e.Orphan
	e.Plan, e.Gone, e.Orphan = p, false, false
	for i := range e.Generations {
		g := &e.Generations[i]
		if orphan && (g.Plan.Revision == p.Spec || g.Plan.Revision == p.Revision) {
			g.Plan = p
		}
		if g.Plan.Revision == p.Revision {
			g.Plan.DependsOn, g.Plan.Reload, g.Plan.Drain = p.DependsOn, p.Reload, p.Drain
			g.Plan.Signal, g.Plan.Proxied, g.Plan.OnDemand, g.Plan.Idle, g.Plan.First = p.Signal, p.Proxied, p.OnDemand, p.Idle, p.First
		}
	}
}

func (p Plan) equal(q Plan) bool {
	return p.Build == q.Build && p.OneShot == q.OneShot && p.Replicas == q.Replicas &&
		slices.Equal(p.DependsOn, q.DependsOn) && p.alike(q)
}

// alike compares what an edit of the manifest most likely changes; the rest
// is part of the revision, but for what a plan depends on.
func (p Plan) alike(q Plan) bool {
	return p.Revision == q.Revision && p.Reload == q.Reload && p.Signal == q.Signal && p.Drain == q.Drain &&
		p.Proxied == q.Proxied && p.OnDemand == q.OnDemand && p.Idle == q.Idle && p.First == q.First
}

func addedNeeds(name Name, before, now Plan) []Name {
	var added []Name
	for _, d := range now.DependsOn {
		known := slices.ContainsFunc(before.DependsOn, func(b Dependency) bool { return b.Service == d.Service })
		if !known {
			added = append(added, name.sibling(d.Service))
		}
	}
	return added
}

func (t *step) wantedAll(w Wanted) {
	if !w.Up {
		for _, name := range w.Names {
			if e := t.edit(name); e != nil {
				e.Want.Up, e.Want.Keep, e.Awake = false, false, false
				e.retry()
			}
		}
		return
	}
	t.want(w.Names, func(e *edit) { e.up(w.Keep) })
	if w.All {
		return
	}
	for _, name := range w.Names {
		if s, ok := t.get(name); ok && s.Plan.OneShot && s.completed() {
			t.edit(name).renew("asked for")
		}
	}
}

// renew has a new generation take the place of what there is.
func (e *edit) renew(trigger string) {
	e.Want.Nonce++
	e.Trigger = trigger
}

// up wants the service up, and tries again what was given up. Keep, once
// asked for, lasts until it is taken down.
func (e *edit) up(keep bool) {
	switch {
	case !e.Want.Up:
		e.Trigger = "started"
	case e.blocked():
		e.Trigger = "asked for"
	}
	e.Want.Keep = keep || e.Want.Up && e.Want.Keep
	e.Want.Up = true
	e.retry()
}

func (t *step) restarted(r Restarted) {
	t.want(r.Names, func(e *edit) { e.up(false) })
	for _, name := range r.Names {
		if s, ok := t.get(name); ok && !s.Gone {
			e := t.edit(name)
			e.renew("asked for")
			e.Awake = e.Plan.onDemand()
		}
	}
}

// want calls ask for the services and all that they depend on, once each.
func (t *step) want(names []Name, ask func(e *edit)) {
	seen := make(map[Name]bool)
	todo := slices.Clone(names)
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		s, ok := t.get(name)
		if !ok || s.Gone || seen[name] {
			continue
		}
		seen[name] = true
		ask(t.edit(name))
		for _, d := range s.Plan.DependsOn {
			todo = append(todo, name.sibling(d.Service))
		}
	}
}
