package daemon

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"strings"
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
	driver   *runtime.Driver
	trouble  string
	answers  []*request
	urgent   bool            // must be committed before anything is done
	opened   bool            // the runtime was asked to listen: what waits for a socket is to be asked for again
	failed   []supervisor.ID // builds that have, and whose reason is to be looked up
	over     []supervisor.ID // builds that have ended, and are known to have
	deaths   []exited
	waiting  []supervisor.ID             // generations that have begun to
	reloads  map[supervisor.Name]*Reload // nil: there is none any more
}

// turn takes a batch of messages through Step, commits, publishes, and hands
// out the commands. When the commit fails, requests are refused and facts are
// put aside until a later commit works.
func (d *Daemon) turn(ctx context.Context, batch []message) {
	facts := append(d.deferred, withoutRequests(batch)...)
	dr := d.newDraft()
	if !d.wake.IsZero() && !dr.now.Before(d.wake) { // it looks at every service
		dr.events = append(dr.events, supervisor.Ticked{})
	}
	for _, m := range facts {
		d.apply(dr, m)
	}
	for _, m := range batch {
		if m.request != nil {
			d.ask(dr, m.request)
		}
	}
	d.settleDrained(dr)
	d.settleIdle(dr)
	next, commands := supervisor.Step(d.state, dr.now, dr.events...)
	next, commands = d.mind(dr.now, next, commands)
	d.mend(next)
	d.remember(dr, next)
	dr.followSignals(commands)

	if err := d.commit(dr); err != nil {
		d.refuse(dr, err)
		d.deferred = facts
		return
	}
	d.deferred = nil
	if dr.batch.Projects != nil {
		d.applied++
		if l := d.link.Load(); newNumbers(d.projects, dr.projects) {
			d.opens(l, dr.now)
		}
	}
	d.state, d.projects, d.lost, d.driver, d.trouble = next, dr.projects, dr.lost, dr.driver, dr.trouble
	d.specs = with(d.specs, dr.batch.Specs)
	d.reloads = with(d.reloads, dr.reloads)
	d.noted, d.told, d.forgot = dr.noted, dr.told, dr.forgot
	d.publish()
	for _, r := range dr.answers {
		r.done <- nil
	}
	for _, id := range dr.failed {
		d.explainBuild(ctx, id, d.builds.wanting(id), d.builds.overdueText(id))
		d.builds.over(id)
	}
	for _, id := range dr.over {
		d.builds.over(id)
	}
	for _, c := range commands {
		d.order(ctx, c)
	}
	for _, id := range dr.waiting {
		d.packAhead(ctx, id)
	}
	if dr.opened {
		d.startAgain(ctx)
	}
	d.settleBuilds(ctx, dr.now)
	for _, e := range dr.deaths {
		d.explainDeath(ctx, e)
	}
	if d.state.Synced && !d.recalled {
		d.recalled = true
		d.recall(ctx)
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
		reloads:  map[supervisor.Name]*Reload{},
		noted:    d.noted,
		told:     d.told,
		forgot:   d.forgot,
		lost:     d.lost,
		driver:   d.driver,
		trouble:  d.trouble,
		batch:    Batch{Boot: d.boot, Ports: d.ports.uncommitted()},
		urgent:   d.boot != "",
	}
}

// ask lets a request add to the draft.
func (d *Daemon) ask(dr *draft, r *request) {
	if err := r.prepare(dr); err != nil {
		r.done <- err
		return
	}
	dr.answers = append(dr.answers, r)
	dr.urgent = true
}

// apply adds a fact to the draft.
func (d *Daemon) apply(dr *draft, m message) {
	switch {
	case m.report != nil:
		d.translate(dr, *m.report)
	case m.trouble != nil:
		dr.trouble = *m.trouble
	case m.event != nil:
		dr.events = append(dr.events, m.event)
	case m.gateway != nil:
		d.reported(dr, *m.gateway)
	case m.note != nil:
		dr.note(*m.note)
	case m.diagnosed != nil:
		d.takeDiagnosed(dr, m.diagnosed)
	case m.edited != nil:
		d.takeEdited(dr, *m.edited)
	case m.unbuilt != nil:
		d.takeUnbuilt(dr, *m.unbuilt)
	case m.ports != nil:
		d.unreachable, d.opened = m.ports.problems, m.ports.applied
		d.declared(m.ports.link, m.ports.applied)
		dr.opened = true
	case m.link != nil && m.link.attached:
		dr.lost, dr.forgot, dr.driver = "", 0, m.link.driver
		if m.link.nonce != dr.noted.Runtime || dr.noted.Sequence == 0 { // its present was never heard to the end
			dr.noted, dr.told = Noted{Runtime: m.link.nonce}, d.toldExits()
		}
		d.builds = newBuilds(d.builds.limit) // what runs is told now, and what is wanted after that
		dr.events = append(dr.events, supervisor.Attached{Observe: dr.observes()})
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
	if next.Bereft {
		dr.batch.Boot = "" // comes with what was taken over: until then this state is as good as lost
	}
	dr.batch.Services, dr.batch.Specs = map[supervisor.Name]*supervisor.Service{}, map[runtime.ID]*runtime.Spec{}
	for old, now := range supervisor.Diff(d.state, next) {
		switch {
		case now == nil:
			d.bury(dr, *old)
		case old == nil || !old.Same(*now):
			d.keep(dr, old, now)
		}
	}
}

// keep puts into the draft what must be known of a service that has changed, or
// is new: then there is no old one.
func (d *Daemon) keep(dr *draft, old, now *supervisor.Service) {
	isNew := old == nil
	if isNew {
		old = &supervisor.Service{Name: now.Name}
	}
	kept := now.Remembered()
	if isNew || !reflect.DeepEqual(old.Remembered(), kept) {
		dr.batch.Services[now.Name] = &kept
		dr.urgent = dr.urgent || isNew || old.Last != now.Last || old.Want != now.Want || old.Gone != now.Gone || old.Plan.Revision != now.Plan.Revision
	}
	d.bindSpecs(dr, *old, *now)
	dr.transitions(*old, *now)
	d.followReload(dr, *old, *now)
	d.reports.heed(now)
	dr.waiting = append(dr.waiting, waiting(*old, *now)...)
}

// bury lets go of a service that is not in the next state any more.
func (d *Daemon) bury(dr *draft, old supervisor.Service) {
	dr.batch.Services[old.Name] = nil
	d.bindSpecs(dr, old, supervisor.Service{Name: old.Name})
	dr.note(Event{Project: old.Name.Project, Service: old.Name.Service, Kind: EventPhase, Text: "removed"})
	dr.reloads[old.Name] = nil
}

// bindSpecs gives each new generation the spec that its project has now, for
// good; and lets go of those of generations that are no more.
func (d *Daemon) bindSpecs(dr *draft, old, now supervisor.Service) {
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
		dr.batch.Specs[id] = &spec
	}
	for _, g := range old.Generations {
		id := runtimeID(supervisor.ID{Name: old.Name, Number: g.Number})
		if _, bound := d.specs[id]; bound && !alive[g.Number] {
			dr.batch.Specs[id] = nil
		}
	}
}

// commit writes what the draft says must be remembered, together with what was
// left unsaved. What follows from facts alone (a phase, an exit, a route) is
// left for a quiet moment, flushDelay at most: after a crash the runtime tells
// it again, and is not asked to forget before it is written. What users ask
// for and new generations are written at once, before anything is done.
func (d *Daemon) commit(dr *draft) error {
	notes := d.journal.number(dr.notes)
	dr.batch.Events, dr.batch.Noted = notes, dr.noted
	if !dr.urgent && dr.now.Sub(d.saved) < flushDelay {
		d.unsaved.absorb(dr.batch)
		d.journal.publish(notes)
		return nil
	}
	batch := d.unsaved.clone()
	batch.absorb(dr.batch)
	if batch.empty() {
		return nil
	}
	if err := d.store.Commit(batch); err != nil {
		return err
	}
	if d.broken != "" {
		d.log.Info("the state can be written again")
	}
	d.unsaved, d.saved, d.broken = Batch{}, dr.now, ""
	if batch.Boot != "" {
		d.boot = ""
	}
	d.ports.committed(dr.batch.Ports)
	d.journal.publish(notes)
	return nil
}

// refuse answers all requests of a draft that could not be committed.
func (d *Daemon) refuse(dr *draft, err error) {
	if d.broken == "" {
		d.log.Error("the state cannot be written", "err", err)
		// Being left to be committed, this also makes the loop try again.
		d.note(Event{Time: dr.now, Kind: EventDaemon, Text: "the state cannot be written: " + err.Error()})
	}
	d.broken = strings.TrimSuffix(err.Error(), ": "+runtime.Class(err).Error())
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

// flush commits what was left unsaved; the last thing that Run does.
func (d *Daemon) flush() error {
	if d.unsaved.empty() {
		return nil
	}
	err := d.store.Commit(d.unsaved)
	if err == nil {
		d.unsaved = Batch{}
	}
	return err
}
