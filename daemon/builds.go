package daemon

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// builds is which builds wait and which run, over all projects. It belongs to
// the loop's goroutine, and remembers nothing: a daemon that starts is told by
// the runtime what runs, and by the supervisor what is wanted.
//
// Builds take all cores they get, so few run at once. The very same build runs
// once for all that wait for it; and never twice at the same time, as both
// would write the same files.
type builds struct {
	limit   int
	waiting []*buildJob
	running map[supervisor.ID]*buildJob // by the generation that the runtime has them for
}

// buildJob is one run of a build.
type buildJob struct {
	key     string // of what is run; empty: not known, found running
	wants   []buildWish
	began   time.Time // zero: the runtime has not said so yet
	overdue bool      // ran for too long, and is being ended
	ending  bool      // was told to end
}

// buildWish is a generation that needs a build.
type buildWish struct {
	id      supervisor.ID
	spec    runtime.Spec
	timeout time.Duration
}

func newBuilds(limit int) builds {
	return builds{limit: max(1, limit), running: map[supervisor.ID]*buildJob{}}
}

// buildKey is what builds have in common that do the very same.
func buildKey(spec runtime.Spec) string {
	spec.Log = ""
	return spec.Hash() + strings.Join(spec.Inherited, "\x00")
}

// add takes a wish. One that was said before, and one that the runtime works
// on already, changes nothing.
func (b *builds) add(w buildWish) {
	key := buildKey(w.spec)
	if j := b.running[w.id]; j != nil {
		if len(j.wants) == 0 {
			j.key, j.wants = key, []buildWish{w}
		}
		return
	}
	for _, j := range b.waiting {
		if j.key != key {
			continue
		}
		if !j.wantedBy(w.id) {
			j.wants = append(j.wants, w)
		}
		return
	}
	b.waiting = append(b.waiting, &buildJob{key: key, wants: []buildWish{w}})
}

func (j *buildJob) wantedBy(id supervisor.ID) bool {
	return slices.ContainsFunc(j.wants, func(w buildWish) bool { return w.id == id })
}

// cancel takes a wish back. What runs for nobody is ended by unwanted.
func (b *builds) cancel(id supervisor.ID) {
	without := func(j *buildJob) {
		j.wants = slices.DeleteFunc(j.wants, func(w buildWish) bool { return w.id == id })
	}
	for _, j := range b.running {
		without(j)
	}
	for _, j := range b.waiting {
		without(j)
	}
	b.waiting = slices.DeleteFunc(b.waiting, func(j *buildJob) bool { return len(j.wants) == 0 })
}

// next takes what may run now from those that wait: first where urgent says
// so, then in the order in which they came, which is that of the needs.
func (b *builds) next(urgent func(supervisor.Name) bool) []buildWish {
	var start []buildWish
	for len(b.running) < b.limit {
		first := -1
		for i, j := range b.waiting {
			if b.busy(j.key) {
				continue
			}
			if first < 0 {
				first = i
			}
			if slices.ContainsFunc(j.wants, func(w buildWish) bool { return urgent(w.id.Name) }) {
				first = i
				break
			}
		}
		if first < 0 {
			break
		}
		j := b.waiting[first]
		b.waiting = slices.Delete(b.waiting, first, first+1)
		b.running[j.wants[0].id] = j
		start = append(start, j.wants[0])
	}
	return start
}

func (b *builds) busy(key string) bool {
	for _, j := range b.running {
		if j.key == key {
			return true
		}
	}
	return false
}

// runs notes that the runtime works on a build since a time.
func (b *builds) runs(id supervisor.ID, since time.Time) {
	j := b.running[id]
	if j == nil {
		j = &buildJob{}
		b.running[id] = j
	}
	if j.began.IsZero() {
		j.began = since
	}
}

// wanting returns the generations that the outcome of a build is for.
func (b *builds) wanting(id supervisor.ID) []supervisor.ID {
	j := b.running[id]
	if j == nil {
		return []supervisor.ID{id}
	}
	var ids []supervisor.ID
	for _, w := range j.wants {
		ids = append(ids, w.id)
	}
	return ids
}

// over forgets a build that has ended.
func (b *builds) over(id supervisor.ID) {
	delete(b.running, id)
	b.cancel(id)
}

// unwanted returns what is to be ended: what runs for nobody, or for too long.
func (b *builds) unwanted(now time.Time) []supervisor.ID {
	var end []supervisor.ID
	for id, j := range b.running {
		if at := j.deadline(); !at.IsZero() && !now.Before(at) {
			j.overdue = true
		}
		if !j.ending && (j.overdue || len(j.wants) == 0) {
			j.ending = true
			end = append(end, id)
		}
	}
	return end
}

// deadline is when a build has run for too long; zero: never.
func (j *buildJob) deadline() time.Time {
	if j.began.IsZero() || j.ending || len(j.wants) == 0 || j.wants[0].timeout <= 0 {
		return time.Time{}
	}
	return j.began.Add(j.wants[0].timeout)
}

// wake is when unwanted may have something new; zero: not by time alone.
func (b *builds) wake() time.Time {
	var first time.Time
	for _, j := range b.running {
		if at := j.deadline(); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// overdueText says why a build was ended, "" when it has ended by itself.
func (b *builds) overdueText(id supervisor.ID) string {
	j := b.running[id]
	if j == nil || !j.overdue || len(j.wants) == 0 {
		return ""
	}
	return "build did not end within " + span(j.wants[0].timeout)
}

// span is a duration without what is zero at its end: 10m, 1h30m.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// settleBuilds starts and ends builds after a turn.
func (d *Daemon) settleBuilds(ctx context.Context, now time.Time) {
	if !d.state.Synced {
		return // what runs is not known yet
	}
	for _, id := range d.builds.unwanted(now) {
		d.work.add(id.Name, func() { d.stop(ctx, buildID(id), true) })
	}
	urgent := func(name supervisor.Name) bool { return d.state.Service(name).Held }
	for _, w := range d.builds.next(urgent) {
		spec := w.spec
		spec.ID = buildID(w.id)
		d.work.add(w.id.Name, func() { d.build(ctx, w.id, spec) })
	}
}
