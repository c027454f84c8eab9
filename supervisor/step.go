package supervisor

import (
	"maps"
	"slices"
	"time"
)

// Step applies events, in their order, to s and returns the state after them
// and the commands that follow. All facts are taken in first, then everything
// they touched is decided once: what a batch undoes itself is never done.
//
// Its cost is a copy of the services map, one cheap look at each service, and
// work for those that the events, or what follows from them, touch.
func Step(s State, now time.Time, events ...Event) (State, []Command) {
	t := &step{now: now, state: s, edits: make(map[Name]*edit)}
	if t.state.Limit <= 0 {
		t.state.Limit = DefaultLimit
	}
	for _, e := range events {
		t.take(e)
	}
	if t.state.graph == nil || t.replan {
		t.flush()
		t.state.derive()
	}
	if t.state.Observing {
		t.mirror()
	} else if t.state.Synced {
		t.settle()
		for t.grant() {
		}
		if t.resync {
			t.restate()
		}
	}
	t.flush()
	return t.state, t.commands
}

// step is one call of Step while it goes on.
type step struct {
	now      time.Time
	state    State // Services: the caller's until cloned is set
	cloned   bool
	edits    map[Name]*edit
	dirty    []*edit // to be decided, as a heap by graph.compare
	resync   bool    // Synced came: give all commands that hold once more
	replan   bool    // dependencies changed
	commands []Command
}

// edit is the copy of a service that a step works on.
type edit struct {
	Service
	last    aspect // what the neighbours were last told
	changed bool   // since the last flush
	queued  bool   // is in dirty
	dropped bool   // is to be removed
}

// get returns a service for reading.
func (t *step) get(name Name) (Service, bool) {
	if e, ok := t.edits[name]; ok {
		return e.Service, !e.dropped
	}
	if s, ok := t.state.Services[name]; ok {
		return *s, true
	}
	return Service{}, false
}

// edit returns the copy of a service to change, and has it decided again. It
// is nil when there is no such service.
func (t *step) edit(name Name) *edit {
	e, ok := t.edits[name]
	switch {
	case ok && e.dropped:
		return nil
	case !ok:
		known, ok := t.state.Services[name]
		if !ok {
			return nil
		}
		s := *known
		s.Generations = slices.Clone(s.Generations)
		for i := range s.Generations {
			s.Generations[i].Instances = slices.Clone(s.Generations[i].Instances)
		}
		e = &edit{Service: s, last: s.aspect()}
		t.edits[name] = e
	}
	e.changed = true
	if !e.queued {
		e.queued = true
		t.dirty = append(t.dirty, e)
	}
	return e
}

// create adds a service that nobody knew.
func (t *step) create(s Service) *edit {
	s.Last = t.state.spent[s.Name]
	e := &edit{Service: s, changed: true, queued: true}
	t.edits[s.Name] = e
	t.dirty = append(t.dirty, e)
	t.replan = true
	return e
}

// spend notes that a number of a service that is not in the state was used.
// Should the service come (back), a late word on that generation must not be
// taken for one on a new generation. A new daemon knows only what the runtime
// still reports; what that has forgotten it will not speak of again.
func (t *step) spend(name Name, number uint64) {
	spent := maps.Clone(t.state.spent)
	if spent == nil {
		spent = make(map[Name]uint64)
	}
	spent[name] = max(spent[name], number)
	t.state.spent = spent
}

// flush writes what was edited to the state's own copy of the map.
func (t *step) flush() {
	for name, e := range t.edits {
		if !e.changed {
			continue
		}
		t.own()
		e.changed = false
		if e.dropped {
			delete(t.state.Services, name)
			t.list(name, nil)
			t.stir(&Service{Name: name})
			continue
		}
		s := e.Service
		t.state.Services[name] = &s
		t.list(name, &s)
		t.stir(&s)
	}
}

// stir notes whether a service is restless, in the state's own copy of restless.
func (t *step) stir(s *Service) {
	if t.state.graph == nil {
		return // restless comes with it
	}
	all := t.state.restless
	at, there := slices.BinarySearchFunc(all, s.Name, func(r *Service, name Name) int {
		return t.state.graph.compare(r.Name, name)
	})
	switch restless := s.restless(); {
	case there && !restless:
		t.state.restless = slices.Delete(all, at, at+1)
	case there:
		all[at] = s
	case restless:
		t.state.restless = slices.Insert(all, at, s)
	}
}

// findRestless returns what State.restless is to be.
func findRestless(s State) []*Service {
	var all []*Service
	for _, service := range s.Services {
		if service.restless() {
			all = append(all, service)
		}
	}
	slices.SortFunc(all, func(a, b *Service) int { return s.graph.compare(a.Name, b.Name) })
	return all
}

// settle decides everything that is dirty, dependencies first, until no
// decision touches another service any more. It ends because each round
// passes on only changes of an aspect, and those go one way: nearer to what
// is wanted.
func (t *step) settle() {
	for len(t.dirty) > 0 {
		round := t.dirty
		t.dirty = nil
		slices.SortFunc(round, func(a, b *edit) int { return t.state.graph.compare(a.Name, b.Name) })
		for _, e := range round {
			if e.queued && !e.dropped {
				e.queued, e.changed = false, true
				t.decide(e)
				t.announce(e)
			}
		}
	}
}

// aspect is what neighbours in the graph can see of a service.
type aspect struct {
	started, healthy, completed bool
	hopeless                    Cause
	exists                      bool
	blocks                      bool // is to rest, and does not yet
	rouses                      bool // keeps on-demand services awake that it depends on
}

func (s *Service) aspect() aspect {
	return aspect{
		started:   s.started(),
		healthy:   s.healthy(),
		completed: s.completed(),
		hopeless:  s.hopeless(ConditionHealthy),
		exists:    !s.Gone,
		blocks:    s.rests() && s.runs(),
		rouses:    s.rouses(),
	}
}

// announce has the neighbours decided again to whom e looks different.
func (t *step) announce(e *edit) {
	now := e.aspect()
	if e.dropped {
		now = aspect{}
	}
	if now == e.last {
		return
	}
	for _, dependent := range t.state.graph.dependents[e.Name] {
		t.edit(dependent)
	}
	if now.blocks != e.last.blocks || now.rouses != e.last.rouses {
		t.editNeeds(e.Name, e.Plan)
	}
	e.last = now
}

// editNeeds has all decided again that a service depends on by its plan.
func (t *step) editNeeds(name Name, p Plan) {
	for _, d := range p.DependsOn {
		t.edit(name.sibling(d.Service))
	}
}

// emit gives a command. While the state is brought in line with a runtime
// that was away, those that restate gives anyway are left to it.
func (t *step) emit(c Command) {
	if t.resync {
		switch c.(type) {
		case Build, Start, Route, Hold, Drain, Stop:
			return
		}
	}
	t.commands = append(t.commands, c)
}
