package daemon

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stead-dev/stead/supervisor"
)

// saves turns files that change into Changed events: it has the watcher watch
// what services are made of, finds the services that a batch affects, and
// spares those that a debugger holds until it lets go. All of it belongs to
// the goroutine of attend.
type saves struct {
	d        *Daemon
	watcher  Watcher
	inputter Inputter
	projects map[string]*watched        // by ID
	applied  uint64                     // Present.Applied that was looked at
	halted   map[supervisor.Name]string // saves that wait for a debugger, by what was saved
	looks    map[string]look            // by project: who has its services in a debugger
	acting   map[supervisor.Name]acting
	env      map[supervisor.Name]bool // env files of theirs were saved; true: and nothing else
	notes    map[string]string        // by project: what was told of its manifest

	finders sync.WaitGroup
	finding chan struct{}    // of capacity 1, full while a finder runs: its tools are heavy
	found   chan foundInputs // by finders
}

// watched is one project's files.
type watched struct {
	parts    map[string]*part // by service
	declared []string         // files that the project names: see declared
}

// part is what one service is made of.
type part struct {
	service Service // as it was when the inputs were found
	inputs  Inputs
	stale   bool // they are to be found anew
	finding bool
}

type foundInputs struct {
	project, service string
	inputs           Inputs
}

func newSaves(d *Daemon, w Watcher, i Inputter) *saves {
	return &saves{
		d: d, watcher: w, inputter: i, projects: map[string]*watched{},
		halted: map[supervisor.Name]string{}, looks: map[string]look{}, acting: map[supervisor.Name]acting{},
		env: map[supervisor.Name]bool{}, notes: map[string]string{},
		finding: make(chan struct{}, 1), found: make(chan foundInputs),
	}
}

// haltedAgain is how often it is looked whether a debugger has let go.
const haltedAgain = time.Second

// What a look at the present took is followed by followShare times as long a
// pause, followMost at most: with a thousand services that come up there is a
// newer one every few milliseconds, and nothing here is in a hurry then.
const (
	followShare = 25
	followMost  = 250 * time.Millisecond
)

// attend ends with ctx, after its finders.
func (o *saves) attend(ctx context.Context) {
	defer o.finders.Wait()
	again := time.NewTicker(haltedAgain)
	defer again.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for due, resting := true, true; ; { // due: there is something to look at
		p := o.d.Present()
		newer := p.Newer()
		switch {
		case due && resting:
			newer = nil // it is looked at when the pause is over
		case due && p.State.Synced:
			began := time.Now()
			o.follow(ctx, p)
			pause.Reset(min(followShare*time.Since(began), followMost))
			due, resting = false, true
		}
		select {
		case <-newer:
			due = true
		case <-pause.C:
			resting = false
		case f := <-o.found:
			o.take(ctx, f)
			due = true
		case project := <-o.watcher.Stirring():
			o.look(ctx, project)
		case batch := <-o.watcher.Saves():
			o.saved(ctx, batch)
			due = true
		case now := <-again.C:
			o.release(ctx)
			o.linger(now)
			due = true
		case <-ctx.Done():
			return
		}
	}
}

// follow has the projects watched of which something is wanted, and the
// inputs found of services that have come up.
func (o *saves) follow(ctx context.Context, p *Present) {
	wanted := map[string]bool{}
	for name, s := range p.State.Services {
		if s.Want.Up && !s.Gone && name != gatewayName {
			wanted[name.Project] = true
		}
		o.settle(s)
	}
	for id := range o.projects {
		if !wanted[id] {
			delete(o.projects, id)
			delete(o.notes, id)
			delete(o.looks, id)
			o.watch(ctx, id)
		}
	}
	for id := range wanted {
		w, known := o.projects[id]
		if !known {
			w = &watched{parts: map[string]*part{}}
			o.projects[id] = w
		}
		if !known || p.Applied != o.applied {
			guessed := w.guess(p.Projects[id], o.inputter)
			if w.declare(p.Projects[id]) || guessed {
				o.watch(ctx, id)
			}
			o.compare(ctx, id)
		}
		o.find(ctx, p, id, w)
	}
	o.applied = p.Applied
}

// guess has something for each service at once, and reports whether there is
// something new to be watched. What is watched stays so while better inputs
// are found.
func (w *watched) guess(p Project, inputter Inputter) bool {
	changed := false
	for name, service := range p.Services {
		old, known := w.parts[name]
		if known && sameInputs(old.service, service) {
			continue
		}
		w.parts[name] = &part{service: service, inputs: inputter.Guess(service), stale: true}
		changed = true
	}
	for name := range w.parts {
		if _, still := p.Services[name]; !still {
			delete(w.parts, name)
			changed = true
		}
	}
	return changed
}

// sameInputs reports whether two definitions of a service are made of the same
// files.
func sameInputs(a, b Service) bool {
	return a.Plan.Revision == b.Plan.Revision && reflect.DeepEqual(a.Watch, b.Watch) && slices.Equal(a.EnvFiles, b.EnvFiles)
}

// find looks closely at services whose inputs are only guessed, or may be
// others since a save; not while they come up, when cores have better to do.
func (o *saves) find(ctx context.Context, p *Present, id string, w *watched) {
	for name, part := range w.parts {
		if !part.stale || part.finding || part.inputs == nil || comesUp(p.State.Service(o.d.name(id, name))) {
			continue
		}
		part.stale, part.finding = false, true
		project, service := p.Projects[id], part.service
		o.finders.Go(func() { // ends with ctx, or when its tools have
			select {
			case o.finding <- struct{}{}:
			case <-ctx.Done():
				return
			}
			inputs, err := o.inputter.Find(ctx, service, o.d.runIn(project))
			<-o.finding
			if err != nil && ctx.Err() == nil {
				o.d.log.Info("the files of a service are guessed", "service", name, "err", err)
			}
			select {
			case o.found <- foundInputs{id, name, inputs}:
			case <-ctx.Done():
			}
		})
	}
}

// comesUp reports whether a service has a generation that is not there yet.
func comesUp(s supervisor.Service) bool {
	return slices.ContainsFunc(s.Generations, func(g supervisor.Generation) bool {
		return g.Phase == supervisor.PhaseBuilding || g.Phase == supervisor.PhasePending || g.Phase == supervisor.PhaseStarting
	})
}

// take has a service watched by what a finder found.
func (o *saves) take(ctx context.Context, f foundInputs) {
	w, ok := o.projects[f.project]
	if !ok || w.parts[f.service] == nil {
		return
	}
	part := w.parts[f.service]
	part.finding = false
	if f.inputs == nil {
		return
	}
	before := part.inputs.Roots()
	part.inputs = f.inputs
	if !reflect.DeepEqual(before, f.inputs.Roots()) {
		o.watch(ctx, f.project)
	}
}

// watch has the watcher follow a project's inputs, and looks for what was
// saved before that: while the daemon was away, or began to watch.
func (o *saves) watch(ctx context.Context, id string) {
	var roots []WatchRoot
	if w, ok := o.projects[id]; ok {
		for _, part := range w.parts {
			if part.inputs != nil {
				roots = append(roots, part.inputs.Roots()...)
			}
		}
		roots = append(roots, w.declaredRoots()...)
	}
	if err := o.watcher.Set(id, roots); err != nil {
		o.d.log.Warn("files are not watched", "project", id, "err", err)
		return
	}
	if len(roots) > 0 {
		o.missed(ctx, id)
	}
}

// missed finds saves that are newer than what their service was made of.
func (o *saves) missed(ctx context.Context, id string) {
	p := o.d.Present()
	made := map[string]time.Time{}
	var oldest time.Time
	for name := range o.projects[id].parts {
		at := p.State.Service(o.d.name(id, name)).Made
		if at.IsZero() {
			continue
		}
		made[name] = at
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	if oldest.IsZero() {
		return
	}
	affected := map[string][]string{}
	for _, f := range o.watcher.Newer(id, oldest) {
		for name, at := range made {
			part := o.projects[id].parts[name]
			if f.Time.After(at) && o.affects(o.d.name(id, name), part, f.Path) {
				affected[name] = append(affected[name], f.Path)
			}
		}
	}
	o.change(ctx, id, affected)
}

// saved finds the services that a batch affects.
func (o *saves) saved(ctx context.Context, batch Saved) {
	if batch.Warning != "" {
		_ = o.d.tell(ctx, message{note: &Event{Project: batch.Project, Kind: EventWatch, Text: batch.Warning}})
	}
	w, ok := o.projects[batch.Project]
	if !ok {
		return
	}
	affected := map[string][]string{}
	for name, part := range w.parts {
		for _, path := range batch.Paths {
			part.stale = part.stale || part.inputs != nil && part.inputs.Stale(path)
			if batch.All && part.inputs != nil || o.affects(o.d.name(batch.Project, name), part, path) {
				affected[name] = append(affected[name], path)
			}
		}
	}
	if slices.ContainsFunc(batch.Paths, func(path string) bool { return slices.Contains(w.declared, path) }) {
		o.compare(ctx, batch.Project)
	}
	o.change(ctx, batch.Project, affected)
}

// change tells the supervisor of services that are made of what was saved,
// but for those that a debugger holds.
func (o *saves) change(ctx context.Context, project string, affected map[string][]string) {
	byTrigger := map[string][]supervisor.Name{}
	for service, paths := range affected {
		name := o.d.name(project, service)
		text := trigger(o.d.Present().Projects[project].Directory, paths)
		if by := o.haltedBy(ctx, name); by != "" {
			if _, known := o.halted[name]; !known {
				_ = o.d.tell(ctx, message{note: &Event{
					Project: project, Service: service, Kind: EventWatch,
					Text: fmt.Sprintf("%s, but it is %s: it is reloaded when that lets go", text, by),
				}})
			}
			o.halted[name] = text
			continue
		}
		byTrigger[text] = append(byTrigger[text], name)
	}
	for text, names := range byTrigger {
		o.tell(ctx, names, text)
	}
}

// trigger says in words what was saved.
func trigger(directory string, paths []string) string {
	if len(paths) == 0 {
		return "many files changed"
	}
	shown := slices.Min(paths)
	if rel, err := filepath.Rel(directory, shown); err == nil && filepath.IsLocal(rel) {
		shown = rel
	}
	if !utf8.ValidString(shown) || strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
		shown = strconv.Quote(shown) // it is to be one line, and valid
	}
	if len(paths) > 1 {
		return fmt.Sprintf("%s and %d more changed", shown, len(paths)-1)
	}
	return shown + " changed"
}
