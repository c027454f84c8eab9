package watch

import (
	"maps"
	"slices"
	"time"
)

const (
	// reloadGrace is how long after a reload its writes still count as its own:
	// services write caches and logs when they have just become ready.
	reloadGrace = time.Second
	// ownChanges in reloads in a row make a path suspect enough to be suspended;
	// one is enough when a process has it open for writing.
	ownChanges = 4
	// frequent changes within frequentTime have one look who holds the file.
	frequent     = 3
	frequentTime = time.Minute
	askAgain     = 10 * time.Second
	// calm is how long a suspended path has to be left alone before a change
	// outside of reloads is taken for a person's.
	calm = time.Second
	// catchUps of a suspended path, each after five times as long, so that a
	// person's last save is never lost.
	catchUps = 3
	// maxTraces bounds the memory of a project's paths.
	maxTraces = 1024
)

// outputs finds the paths of a project that its own reloads write: each change
// of one causes a reload, and each reload changes it. It is told when reloads
// begin and end, and of all changes. A path is suspended when it changed in
// ownChanges reloads in a row, at about the same time after the beginning of
// each, every one of them begun after the change before; or when it changes
// again and again while a process has it open for writing (a log, SQLite).
//
// A file that a root names counts while a reload is under way, and not just
// after it: it is a source, and tools that save a source as soon as the last
// reload is over are not to be told from what a service writes when it is up.
//
// A person who saves a file in the middle of every reload looks like that. So
// a suspended path that no process holds is told once more when it is at rest,
// three times at most, and its first change outside of a reload lifts the
// suspension.
//
// It has no clock, and is owned by one goroutine.
type outputs struct {
	acting int
	began  time.Time // the latest reload
	ended  time.Time
	round  int // reloads that began
	traces map[string]*trail
}

// trail is what is known of a path.
type trail struct {
	changed   time.Time     // latest change
	told      int           // the round in which it was told latest
	delay     time.Duration // from the beginning of its reload to the change
	strikes   int
	times     [frequent]time.Time // the latest changes told
	suspended bool
	withheld  bool // a change was not told
	tries     int  // catch-ups
	asking    bool // somebody is looking who holds it
	asked     time.Time
	holder    string
}

func (o *outputs) begin(now time.Time) { o.acting, o.began, o.round = o.acting+1, now, o.round+1 }

func (o *outputs) end(now time.Time) { o.acting, o.ended = o.acting-1, now }

// open reports whether a reload is under way, or has just been.
func (o *outputs) open(now time.Time) bool {
	return o.acting > 0 || !o.ended.IsZero() && now.Before(o.ended.Add(reloadGrace))
}

// judgement of a change.
type judgement struct {
	tell    bool
	suspend bool // from now on: say so
	resume  bool // no longer: say so
	ask     bool // look who holds the file, and call held
}

// judge is told of every change. named: a root names the file itself, so that
// services do not write it; what is left are builds.
func (o *outputs) judge(path string, now time.Time, named bool) judgement {
	t := o.trail(path)
	before := t.changed
	t.changed = now
	if t.suspended {
		return o.judgeSuspended(t, before, now)
	}
	if named && o.acting == 0 {
		t.strikes, t.delay = 0, 0
	} else {
		o.strike(t, now)
	}
	if t.strikes >= ownChanges {
		t.suspended, t.withheld = true, true
		return judgement{suspend: true}
	}
	copy(t.times[1:], t.times[:])
	t.times[0] = now
	t.told = o.round
	oldest := t.times[frequent-1]
	suspect := t.strikes > 0 || !oldest.IsZero() && now.Sub(oldest) < frequentTime && now.Sub(t.asked) > askAgain
	return judgement{tell: true, ask: suspect && t.ask(now)}
}

// strike counts a change that a reload of the change before may have caused.
func (o *outputs) strike(t *trail, now time.Time) {
	if t.times[0].IsZero() || !o.open(now) || o.round <= t.told {
		t.strikes, t.delay = 0, 0
		return
	}
	delay := now.Sub(o.began)
	if t.strikes > 0 && (delay-t.delay).Abs() > max(200*time.Millisecond, t.delay/2) {
		t.strikes = 0 // a reload takes about as long each time; a person does not
	}
	t.strikes++
	t.delay = delay
}

func (o *outputs) judgeSuspended(t *trail, before, now time.Time) judgement {
	t.withheld = true
	if o.open(now) || now.Sub(before) < calm {
		return judgement{}
	}
	if t.holder != "" { // perhaps it let go meanwhile
		return judgement{ask: t.ask(now)}
	}
	*t = trail{changed: now, times: [frequent]time.Time{now}, told: o.round}
	return judgement{tell: true, resume: true}
}

// ask reports whether to ask now: one question at a time.
func (t *trail) ask(now time.Time) bool {
	if t.asking {
		return false
	}
	t.asking, t.asked = true, now
	return true
}

// held is the answer to ask: who has the path open for writing, if anybody.
func (o *outputs) held(path, who string) (suspend bool) {
	t := o.traces[path]
	if t == nil {
		return false
	}
	t.asking = false
	suspend = who != "" && !t.suspended
	t.holder = who
	t.suspended = t.suspended || suspend
	return suspend
}

// due is when catchUp should be called next; zero: never.
func (o *outputs) due() (next time.Time) {
	if o.acting > 0 {
		return time.Time{}
	}
	for _, t := range o.traces {
		if at := o.dueAt(t); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

func (o *outputs) dueAt(t *trail) time.Time {
	if !t.suspended || !t.withheld || t.holder != "" || t.tries >= catchUps {
		return time.Time{}
	}
	wait := calm
	for range t.tries {
		wait *= 5
	}
	at := t.changed.Add(wait)
	if rest := o.ended.Add(reloadGrace); rest.After(at) {
		at = rest
	}
	return at
}

// catchUp returns withheld paths that are at rest, to be told now.
func (o *outputs) catchUp(now time.Time) (paths []string) {
	if o.acting > 0 {
		return nil
	}
	for path, t := range o.traces {
		if at := o.dueAt(t); !at.IsZero() && !at.After(now) {
			t.withheld = false
			t.tries++
			paths = append(paths, path)
		}
	}
	return paths
}

func (o *outputs) trail(path string) *trail {
	if t := o.traces[path]; t != nil {
		return t
	}
	if o.traces == nil {
		o.traces = make(map[string]*trail)
	}
	if len(o.traces) >= maxTraces {
		o.evict()
	}
	t := &trail{}
	o.traces[path] = t
	return t
}

// evict forgets a quarter of the paths: those that have been left alone for
// longest, and suspended ones last.
func (o *outputs) evict() {
	paths := slices.SortedFunc(maps.Keys(o.traces), func(a, b string) int {
		x, y := o.traces[a], o.traces[b]
		if x.suspended != y.suspended {
			if y.suspended {
				return -1
			}
			return 1
		}
		return x.changed.Compare(y.changed)
	})
	for _, path := range paths[:maxTraces/4] {
		delete(o.traces, path)
	}
}
