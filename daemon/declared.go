package daemon

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/stead-dev/stead/supervisor"
)

// What a project names is watched as well: env files, whose change reloads the
// services that read them, and the manifest with what it is made of, which is
// only ever applied by `stead up`.

// declared returns the files that a project names, sorted.
func declared(p Project) []string {
	files := map[string]bool{}
	for file := range p.Sources {
		files[file] = true
	}
	for _, s := range p.Services {
		for _, file := range s.EnvFiles {
			files[file] = true
		}
	}
	return slices.Sorted(maps.Keys(files))
}

// declare notes what a project names, and reports whether that is different.
func (w *watched) declare(p Project) bool {
	now := declared(p)
	changed := !slices.Equal(w.declared, now)
	w.declared = now
	return changed
}

func (w *watched) declaredRoots() []WatchRoot {
	var roots []WatchRoot
	poll := false // where one service's files are written unseen, these are as well
	for _, part := range w.parts {
		poll = poll || part.service.Watch.Poll
	}
	for _, file := range w.declared {
		roots = append(roots, WatchRoot{Dir: filepath.Dir(file), Flat: true, Files: []string{file}, Poll: poll})
	}
	return roots
}

// environmentOf reports whether a service reads a file as its environment,
// and is to hear of it.
func (s Service) environmentOf(path string) bool {
	return s.Plan.Reload != supervisor.ReloadNone && slices.Contains(s.EnvFiles, path)
}

// affects reports whether a service is made of a file, or reads it as its
// environment, which it notes.
func (o *saves) affects(name supervisor.Name, part *part, path string) bool {
	made := part.inputs != nil && part.inputs.Affects(path)
	alone, known := o.env[name]
	switch {
	case part.service.environmentOf(path):
		o.env[name] = !made && (alone || !known)
		return true
	case made && known:
		o.env[name] = false
	}
	return made
}

// reload has services reloaded for a save, with their environment read again
// where an env file is what was saved.
func (o *saves) reload(ctx context.Context, names []supervisor.Name, text string) {
	var environment []supervisor.Name
	alone := map[supervisor.Name]bool{}
	for _, name := range names {
		if only, is := o.env[name]; is {
			environment, alone[name] = append(environment, name), only
			delete(o.env, name)
		}
	}
	if len(environment) == 0 {
		_ = o.d.tell(ctx, message{event: supervisor.Changed{Names: names, Trigger: text}})
		return
	}
	told, err := o.d.reloadEnvironment(ctx, names, environment, alone, text)
	if err != nil && ctx.Err() == nil {
		_ = o.d.tell(ctx, message{note: &Event{
			Project: names[0].Project, Kind: EventWatch, Text: text + ", and what runs keeps its environment: " + err.Error(),
		}})
		told = slices.DeleteFunc(slices.Clone(names), func(n supervisor.Name) bool { return alone[n] })
		_ = o.d.tell(ctx, message{event: supervisor.Changed{Names: told, Trigger: text}})
	}
	for _, name := range names {
		if a, is := o.acting[name]; is && !slices.Contains(told, name) { // nothing comes of it
			a.done(time.Now())
			delete(o.acting, name)
		}
	}
}

// compare tells whether a project's manifest is another one than was applied.
func (o *saves) compare(ctx context.Context, id string) {
	p := o.d.Present().Projects[id]
	note := ""
	for _, file := range slices.Sorted(maps.Keys(p.Sources)) {
		if !holds(file, p.Sources[file]) && (note == "" || file == p.File) {
			note = within(p.Directory, file) + " changed: run `stead up` to apply it"
		}
	}
	if note != o.notes[id] {
		o.notes[id] = note
		_ = o.d.tell(ctx, message{edited: &edited{id, note}})
	}
}

// holds reports whether a file's text is the one given.
func holds(file, text string) bool {
	info, err := os.Stat(file)
	if err != nil || info.Size() != int64(len(text)) {
		return false
	}
	now, err := os.ReadFile(file)
	return err == nil && string(now) == text
}

// edited says that a manifest is another one than was applied; note empty:
// that it is not.
type edited struct{ project, note string }

func (d *Daemon) takeEdited(dr *draft, m edited) {
	d.notes = maps.Clone(d.notes)
	if d.notes == nil {
		d.notes = map[string]string{}
	}
	delete(d.notes, m.project)
	if m.note != "" {
		d.notes[m.project] = m.note
		dr.note(Event{Project: m.project, Kind: EventWatch, Text: m.note})
	}
}

// reloadEnvironment reloads services for a save. Those of environment, which
// read an env file that was saved, get what it says now; of them those in
// alone are made of nothing else that was saved, and stay as they are when it
// says the same as before. It returns those that are reloaded.
func (d *Daemon) reloadEnvironment(ctx context.Context, names, environment []supervisor.Name, alone map[supervisor.Name]bool, trigger string) ([]supervisor.Name, error) {
	release, err := d.alone(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	fresh, err := d.reread(ctx, environment)
	if err != nil {
		return nil, err
	}
	before := d.Present().Projects
	again := map[string]Project{}
	for _, p := range fresh {
		again[p.ID] = p
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n supervisor.Name) bool {
		now, ok := again[n.Project]
		same := !ok || now.Services[n.Service].Plan.Revision == before[n.Project].Services[n.Service].Plan.Revision
		return alone[n] && same
	})
	if len(names) == 0 {
		return nil, nil
	}
	return names, d.submit(ctx, func(dr *draft) error {
		for _, p := range fresh {
			dr.setProject(p)
			dr.events = append(dr.events, supervisor.Applied{Environment: d.environment, Project: p.ID, Plans: plans(p)})
		}
		dr.events = append(dr.events, supervisor.Changed{Names: names, Trigger: trigger})
		return nil
	})
}
