package daemon

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// draft is what one turn wants to make true. It is committed, or thrown away.
type draft struct {
	now      time.Time
	projects map[string]Project // as they will be
	events   []supervisor.Event
	batch    Batch
	notes    []Event
	noted    Noted
	told     map[exitKey]bool
	forgot   uint64
	lost     string
	answers  []*request
	builds   []runtime.ID // builds that have failed, and whose reason is to be looked up
}

// turn takes a batch of messages through Step, commits, publishes, and hands
// out the commands. When the commit fails, requests are refused and facts are
// put aside until a later commit works.
func (d *Daemon) turn(ctx context.Context, batch []message) {
	facts := append(d.deferred, withoutRequests(batch)...)
	dr := d.newDraft()
	dr.events = append(dr.events, supervisor.Ticked{})
	for _, m := range facts {
		d.apply(dr, m)
	}
	for _, m := range batch {
		if m.request != nil {
			d.ask(dr, m.request)
		}
	}
	next, commands := supervisor.Step(d.state, dr.now, dr.events...)
	d.remember(dr, next)

	if err := d.commit(dr); err != nil {
		d.refuse(dr, err)
		d.deferred = facts
		return
	}
	d.deferred = nil
	d.state, d.projects, d.lost = next, dr.projects, dr.lost
	d.specs = with(d.specs, dr.batch.Specs)
	d.noted, d.told, d.forgot = dr.noted, dr.told, dr.forgot
	d.publish()
	for _, r := range dr.answers {
		r.done <- nil
	}
	for _, c := range commands {
		d.order(ctx, c)
	}
	for _, id := range dr.builds {
		d.explainBuild(ctx, id)
	}
	d.forget(ctx)
}

func withoutRequests(batch []message) []message {
	var facts []message
	for _, m := range batch {
		if m.request == nil {
			facts = append(facts, m)
		}
	}
	return facts
}

func (d *Daemon) newDraft() *draft {
	return &draft{
		now:      time.Now(),
		projects: d.projects,
		noted:    d.noted,
		told:     d.told,
		forgot:   d.forgot,
		lost:     d.lost,
		batch:    Batch{Boot: d.boot, Ports: d.ports.uncommitted()},
	}
}

// ask lets a request add to the draft.
func (d *Daemon) ask(dr *draft, r *request) {
	if err := r.prepare(dr); err != nil {
		r.done <- err
		return
	}
	dr.answers = append(dr.answers, r)
}

// apply adds a fact to the draft.
func (d *Daemon) apply(dr *draft, m message) {
	switch {
	case m.report != nil:
		d.translate(dr, *m.report)
	case m.event != nil:
		dr.events = append(dr.events, m.event)
	case m.link != nil && m.link.attached:
		dr.lost, dr.forgot = "", 0
		if m.link.nonce != dr.noted.Runtime || dr.noted.Sequence == 0 { // its present was never heard to the end
			dr.noted, dr.told = Noted{Runtime: m.link.nonce}, d.toldExits()
		}
		dr.events = append(dr.events, supervisor.Attached{})
	case m.link != nil:
		if dr.lost == "" {
			dr.note(Event{Kind: EventDaemon, Text: "the runtime was lost: " + m.link.reason})
		}
		dr.lost = m.link.reason
		dr.events = append(dr.events, supervisor.Detached{})
	}
}

// setProject makes a manifest part of the draft.
func (dr *draft) setProject(p Project) {
	dr.projects = maps.Clone(dr.projects)
	dr.projects[p.ID] = p
	if dr.batch.Projects == nil {
		dr.batch.Projects = map[string]*Project{}
	}
	dr.batch.Projects[p.ID] = &p
}

func (dr *draft) note(e Event) {
	e.Time = dr.now
	dr.notes = append(dr.notes, e)
}

// remember compares the next state with the present one, and puts into the
// draft what must survive the daemon.
func (d *Daemon) remember(dr *draft, next supervisor.State) {
	services := map[supervisor.Name]*supervisor.Service{}
	specs := map[runtime.ID]*runtime.Spec{}
	for name, s := range next.Services {
		before, known := d.state.Services[name]
		if before == s || known && before.Same(*s) {
			continue
		}
		old := d.state.Service(name)
		kept := s.Remembered()
		if !known || !reflect.DeepEqual(old.Remembered(), kept) {
			services[name] = &kept
		}
		d.bindSpecs(dr, specs, old, *s)
		dr.transitions(old, *s)
	}
	for name, old := range d.state.Services {
		if _, still := next.Services[name]; !still {
			services[name] = nil
			d.bindSpecs(dr, specs, *old, supervisor.Service{Name: name})
			dr.note(Event{Project: name.Project, Service: name.Service, Kind: EventPhase, Text: "removed"})
		}
	}
	dr.batch.Services, dr.batch.Specs = services, specs
}

// bindSpecs gives each new generation the spec that its project has now, for
// good; and lets go of those of generations that are no more.
func (d *Daemon) bindSpecs(dr *draft, specs map[runtime.ID]*runtime.Spec, old, now supervisor.Service) {
	alive := map[uint64]bool{}
	for _, g := range now.Generations {
		alive[g.Number] = true
		id := runtimeID(supervisor.ID{Name: now.Name, Number: g.Number})
		if _, bound := d.specs[id]; bound {
			continue
		}
		service, ok := dr.projects[now.Name.Project].Services[now.Name.Service]
		if !ok || service.Plan.Revision != g.Plan.Revision {
			continue // adopted, or superseded within this very turn
		}
		spec := service.Spec
		spec.ID = id
		specs[id] = &spec
	}
	for _, g := range old.Generations {
		id := runtimeID(supervisor.ID{Name: old.Name, Number: g.Number})
		if _, bound := d.specs[id]; bound && !alive[g.Number] {
			specs[id] = nil
		}
	}
}

// commit writes what the draft says must be remembered, and with it all
// transitions. Transitions alone wait for a quiet moment.
func (d *Daemon) commit(dr *draft) error {
	notes := d.journal.number(dr.notes)
	events := append(d.pending, notes...)
	if dr.batch.empty() && (len(events) == 0 || dr.now.Sub(events[0].Time) < flushDelay) {
		d.pending = events
		d.journal.publish(notes)
		return nil
	}
	dr.batch.Events, dr.batch.Noted = events, dr.noted
	if err := d.store.Commit(dr.batch); err != nil {
		return err
	}
	if d.broken != "" {
		d.log.Info("the state can be written again")
	}
	d.pending, d.broken, d.boot = nil, "", ""
	d.ports.committed(dr.batch.Ports)
	d.journal.publish(notes)
	return nil
}

// refuse answers all requests of a draft that could not be committed.
func (d *Daemon) refuse(dr *draft, err error) {
	if d.broken == "" {
		d.log.Error("the state cannot be written", "err", err)
	}
	d.broken = err.Error()
	d.publish()
	for _, r := range dr.answers {
		r.done <- refused(err)
	}
}

func refused(err error) error {
	hint := runtime.Hint(err)
	if hint == "" {
		hint = "nothing was changed; what runs goes on running"
	}
	class := runtime.Class(err)
	if errors.Is(class, runtime.Internal) {
		class = runtime.Unavailable
	}
	return runtime.WithHint(wrapClass("the request was refused, as the state cannot be written: "+err.Error(), class), hint)
}

// flush commits pending transitions; the last thing that Run does.
func (d *Daemon) flush() error {
	if len(d.pending) == 0 {
		return nil
	}
	err := d.store.Commit(Batch{Events: d.pending})
	if err == nil {
		d.pending = nil
	}
	return err
}
