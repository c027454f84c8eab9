package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Output says whose output is read for what is wrong in source.
type Output struct {
	Project    Project
	Service    Service
	Generation uint64
	Cause      string // what led to it
	Build      bool   // a build's; else an instance's that died
	Ready      bool   // the instance was ready before
}

// Diagnoser is given output, and then asked once.
type Diagnoser interface {
	io.Writer // never fails
	Diagnostics() (found []runtime.Diagnostic, dropped int)
}

// diagnosed is what was found, with the generations that it is about.
type diagnosed struct {
	job   supervisor.ID   // whose output it was
	ids   []supervisor.ID // a build may be for several
	build bool
	cause supervisor.Cause // of a build, which is over with this; none: was known before
	list  []runtime.Diagnostic
}

// diagnosis is what is wrong with a service.
type diagnosis struct {
	generation uint64
	build      bool
	list       []runtime.Diagnostic
}

// Bounds of what is read of output. Compilers name the first error first, and
// what ran a compiler (make, npm) often says the most at the end. A program
// that dies ends with its traceback.
const (
	buildHead = 1 << 20 // bytes
	buildTail = 1000    // lines
	deathTail = 4000    // lines: GOTRACEBACK=all has many below what matters
)

// explainBuild looks up why a build failed in its output, and makes it known.
// late is the reason that is known already.
func (d *Daemon) explainBuild(ctx context.Context, job supervisor.ID, ids []supervisor.ID, late string) {
	if len(ids) == 0 {
		return // it was given up
	}
	found := diagnosed{job: job, ids: ids, build: true}
	outputs := d.outputsOf(ids, true)
	d.work.add(job.Name, func() {
		texts := d.readBuild(ctx, job, outputs)
		found.cause = supervisor.Cause{Kind: supervisor.CauseBuild, Text: texts.text(outputs[0].Project.Directory)}
		if late != "" {
			found.cause.Text = late
		}
		found.list = texts.diagnostics()
		_ = d.tell(ctx, message{diagnosed: &found})
	})
}

// explainDeath looks up where in its source a program died.
func (d *Daemon) explainDeath(ctx context.Context, e exited) {
	if d.diagnose == nil {
		return
	}
	output := d.outputsOf([]supervisor.ID{e.id}, false)[0]
	output.Ready = e.ready
	d.work.add(e.id.Name, func() {
		to := d.diagnose(output)
		query := outputOf(e.id)
		query.Last = deathTail
		_ = d.Logs(ctx, query, func(b runtime.LogBlock) error { // without its output nothing is found, no more
			if b.Stream != runtime.StreamRuntime && b.Instance.ID.Service == e.id.Service && (e.instance == "" || e.instance == instanceLabel(b.Instance)) {
				_, _ = to.Write(b.Data)
			}
			return nil
		})
		list, _ := to.Diagnostics()
		_ = d.tell(ctx, message{diagnosed: &diagnosed{ids: []supervisor.ID{e.id}, list: list}})
	})
}

// exited is an instance that ended as it should not.
type exited struct {
	id       supervisor.ID
	instance string // empty: any of the generation
	ready    bool
}

func outputOf(id supervisor.ID) runtime.LogQuery {
	return runtime.LogQuery{Environment: id.Environment, Project: id.Project, Service: id.Service, Generation: id.Number}
}

// outputsOf is taken in the loop, whose state it needs.
func (d *Daemon) outputsOf(ids []supervisor.ID, build bool) []Output {
	outputs := make([]Output, len(ids))
	for i, id := range ids {
		outputs[i] = Output{Project: d.projects[id.Project], Service: d.projects[id.Project].Services[id.Service], Generation: id.Number, Build: build}
		if g := generation(d.state, id); g != nil {
			outputs[i].Cause = g.Trigger
		}
	}
	return outputs
}

func generation(state supervisor.State, id supervisor.ID) *supervisor.Generation {
	s, ok := state.Services[id.Name]
	if !ok {
		return nil
	}
	for i := range s.Generations {
		if s.Generations[i].Number == id.Number {
			return &s.Generations[i]
		}
	}
	return nil
}

// errEnough ends the reading of output that goes on and on.
var errEnough = errors.New("that is enough")

// readBuild reads a build's output, of a long one the beginning and the end.
func (d *Daemon) readBuild(ctx context.Context, job supervisor.ID, outputs []Output) *buildTexts {
	texts := &buildTexts{}
	if d.diagnose != nil {
		for _, o := range outputs {
			texts.to = append(texts.to, d.diagnose(o))
		}
	}
	query, size := outputOf(job), 0
	read := func(b runtime.LogBlock) error {
		if b.Stream == runtime.StreamRuntime || b.Instance.ID.Service != job.Service+buildSuffix || b.Instance.ID.Number != job.Number {
			return nil
		}
		if size += len(b.Data); size > buildHead && query.Last == 0 {
			return errEnough
		}
		texts.write(b.Data)
		return nil
	}
	if err := d.Logs(ctx, query, read); errors.Is(err, errEnough) { // without its output the cause is poorer, no more
		query.Last = buildTail
		_ = d.Logs(ctx, query, read)
	}
	return texts
}

// buildTexts is what a build said.
type buildTexts struct {
	to    []Diagnoser // one for each generation that it was for
	lists [][]runtime.Diagnostic
	rest  []byte // of a line that has no end yet
	place string // the first line that names a place in a file
	last  string
}

// place matches a line that names a place in a file, as compilers print them.
var place = regexp.MustCompile(`^[^\s:]+:\d+(:\d+)?:? `)

// placeLine bounds what is looked at of a line.
const placeLine = 4 << 10

func (t *buildTexts) write(data []byte) {
	for _, to := range t.to {
		_, _ = to.Write(data)
	}
	for len(data) > 0 {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		data = rest
		t.rest = append(t.rest, line[:min(len(line), placeLine-len(t.rest))]...)
		if whole {
			t.line()
		}
	}
}

func (t *buildTexts) line() {
	line := bytes.TrimSpace(t.rest)
	t.rest = t.rest[:0]
	if len(line) == 0 {
		return
	}
	t.last = string(line)
	if t.place == "" && place.Match(line) {
		t.place = t.last
	}
}

// diagnostics are those of each generation, in one list.
func (t *buildTexts) diagnostics() []runtime.Diagnostic {
	var all []runtime.Diagnostic
	for i, to := range t.to {
		if i == len(t.lists) {
			list, _ := to.Diagnostics()
			t.lists = append(t.lists, list)
		}
		all = append(all, t.lists[i]...)
	}
	return all
}

// text says why a build failed: the first error with its place, as seen from
// the project's directory.
func (t *buildTexts) text(directory string) string {
	t.line()
	for _, d := range t.diagnostics() {
		if d.Severity != runtime.SeverityError {
			continue
		}
		d.File = within(directory, d.File)
		first, _, _ := strings.Cut(d.Text, "\n")
		return "build failed: " + d.Position() + ": " + first
	}
	switch {
	case t.place != "":
		return "build failed: " + t.place
	case t.last != "":
		return "build failed: " + t.last
	}
	return "build failed: it failed without a word"
}

// within is a path as seen from a directory, when it lies in that.
func within(directory, path string) string {
	if rel, err := filepath.Rel(directory, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// takeDiagnosed takes what was found into the draft and the loop's diagnoses.
func (d *Daemon) takeDiagnosed(dr *draft, m *diagnosed) {
	if m.cause.Kind != "" {
		dr.over = append(dr.over, m.job)
	}
	for _, id := range m.ids {
		g := generation(d.state, id)
		if g == nil || m.build && g.Phase != supervisor.PhaseBuilding && g.Phase != supervisor.PhaseFailed {
			continue // a build that was given up says nothing of what is on disk now
		}
		if m.cause.Kind != "" {
			dr.events = append(dr.events, supervisor.Built{ID: id, Cause: m.cause})
		}
		list := slices.DeleteFunc(slices.Clone(m.list), func(one runtime.Diagnostic) bool {
			return one.Service != id.Service || one.Generation != id.Number
		})
		old, known := d.diagnoses[id.Name]
		if known && (old.generation > id.Number || old.generation == id.Number && !m.build && len(list) == 0) {
			continue // an attempt that died without a word does not say that what killed the one before is mended
		}
		d.setDiagnosis(id.Name, diagnosis{id.Number, m.build, list})
	}
}

// setDiagnosis replaces what is wrong with a service; an empty list: nothing.
func (d *Daemon) setDiagnosis(name supervisor.Name, now diagnosis) {
	d.diagnoses = maps.Clone(d.diagnoses)
	if d.diagnoses == nil {
		d.diagnoses = map[supervisor.Name]diagnosis{}
	}
	d.diagnoses[name] = now
	if len(now.list) == 0 {
		delete(d.diagnoses, name)
	}
	d.diagnostics = make(map[supervisor.Name][]runtime.Diagnostic, len(d.diagnoses))
	for name, one := range d.diagnoses {
		d.diagnostics[name] = one.list
	}
}

// mend forgets what was wrong with what is good now: a build, when a newer one
// was good; else when a newer generation was ready. Warnings go as well: a
// compiler that compiles only what changed does not say them again. With a
// service that is down goes everything, as its files are not watched.
func (d *Daemon) mend(next supervisor.State) {
	for name, wrong := range d.diagnoses {
		s, ok := next.Services[name]
		good := func(g supervisor.Generation) bool {
			return g.Number > wrong.generation && (g.WasReady || g.Phase == supervisor.PhaseCompleted || wrong.build && g.Built)
		}
		if !ok || !s.Want.Up || slices.ContainsFunc(s.Generations, good) {
			d.setDiagnosis(name, diagnosis{})
		}
	}
}

// recall looks again for what was wrong when the last daemon ended.
func (d *Daemon) recall(ctx context.Context) {
	for name, s := range d.state.Services {
		if len(s.Generations) == 0 || !s.Want.Up {
			continue
		}
		g := s.Generations[len(s.Generations)-1]
		id := supervisor.ID{Name: name, Number: g.Number}
		switch {
		case g.Phase != supervisor.PhaseFailed:
		case g.Cause.Kind == supervisor.CauseBuild:
			d.recallBuild(ctx, id)
		case g.Cause.Kind == supervisor.CauseExit:
			d.explainDeath(ctx, exited{id: id, ready: g.WasReady})
		}
	}
}

func (d *Daemon) recallBuild(ctx context.Context, id supervisor.ID) {
	outputs := d.outputsOf([]supervisor.ID{id}, true)
	d.work.add(id.Name, func() {
		list := d.readBuild(ctx, id, outputs).diagnostics()
		_ = d.tell(ctx, message{diagnosed: &diagnosed{ids: []supervisor.ID{id}, build: true, list: list}})
	})
}
