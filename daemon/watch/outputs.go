package watch

import (
	"cmp"
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
	// calm is how long a path on trial, or suspended, has to be left alone before
	// it is at rest, and a change outside of reloads is taken for a person's.
	calm = time.Second
	// restLimit bounds for how long more a reload under way delays a catch-up.
	restLimit = 10 * time.Second
	// relapses on trial prove that it is output, as do maxTrials in a row in
	// which it changed somehow.
	relapses  = 2
	maxTrials = 5
	// trialLimit proves it as well, without any rest: nobody saves for so long.
	trialLimit = 15 * time.Second
	// catchUps of a suspended path, each after five times as long, so that a
	// person's last save is never lost.
	catchUps = 2
	// maxTraces bounds the memory of a project's paths.
	maxTraces = 1024
)

// outputs finds the paths of a project that its own reloads write: each change
// of one causes a reload, and each reload changes it. It is told when reloads
// begin and end, and of all changes. A path is suspect when it changed in
// ownChanges reloads in a row, at about the same time after the beginning of
// each, every one of them begun after the change before.
//
// A person who saves a file in the middle of every reload looks like that. So
// it is tried: its changes are held back, without a word, until it is at rest,
// and told once. If the reload that follows changes it, twice, it is output: it
// is suspended, and that is said. If not, it is acquitted. A person who saves
// once more, and then looks, gets one reload for the last saves.
//
// A path that changes again and again while a process has it open for writing
// (a log, SQLite) is suspended without a trial.
//
// A file that a root names counts while a reload is under way, and not just
// after it: it is a source, and tools that save a source as soon as the last
// reload is over are not to be told from what a service writes when it is up.
//
// A suspended path that no process holds is told once more when it is at rest,
// and its first change outside of a reload lifts the suspension.
//
// It has no clock, and is owned by one goroutine.
type outputs struct {
	acting int
	ended  time.Time
	traces map[string]*trail
}

// trail is what is known of a path.
type trail struct {
	changed time.Time     // latest change
	told    time.Time     // when one was told latest
	caused  time.Time     // when the first reload after that began
	delay   time.Duration // from there to the change
	strikes int
	times   [frequent]time.Time // the latest changes told
	state   standing
	since   time.Time // when it was put on trial
	held    bool      // a change was held back
	relapse int       // reloads on trial that changed it
	tries   int       // catch-ups in this state
	asking  bool      // somebody is looking who has it open
	asked   time.Time
	holder  string
}

// standing of a path.
type standing int

const (
	heeded standing = iota
	onTrial
	suspended
)

func (o *outputs) begin(now time.Time) {
	o.acting++
	for _, t := range o.traces {
		if t.caused.IsZero() && !t.told.IsZero() {
			t.caused = now
		}
	}
}

func (o *outputs) end(at time.Time) { o.acting, o.ended = o.acting-1, latest(o.ended, at) }

// open reports whether a reload is under way, or has just been.
func (o *outputs) open(now time.Time) bool {
	return o.acting > 0 || !o.ended.IsZero() && now.Before(o.ended.Add(reloadGrace))
}

// judgement of a change.
type judgement struct {
	tell    bool
	suspend bool // from now on: say so
	resume  bool // no longer: say so
	ask     bool // look who holds the file, and call answered
}

// judge is told of every change, which happened at some time and is known now.
// named: a root names the file itself.
func (o *outputs) judge(path string, at, now time.Time, named bool) judgement {
	t := o.trail(path)
	before := t.changed
	t.changed = now
	within := o.open(now) && (o.acting > 0 || !named || at.Before(o.ended))
	if t.state != heeded {
		return o.judgeSuspect(t, before, now, within)
	}
	t.strike(now, within)
	if t.strikes >= ownChanges {
		t.state, t.since, t.held = onTrial, now, true
		return judgement{}
	}
	copy(t.times[1:], t.times[:])
	t.times[0] = now
	t.tell(now)
	oldest := t.times[frequent-1]
	often := t.strikes > 0 || !oldest.IsZero() && now.Sub(oldest) < frequentTime && now.Sub(t.asked) > askAgain
	return judgement{tell: true, ask: often && t.ask(now)}
}

func (t *trail) tell(now time.Time) { t.told, t.caused = now, time.Time{} }

// strike counts a change within a reload that the change before may have
// caused.
func (t *trail) strike(now time.Time, within bool) {
	if t.caused.IsZero() || !within {
		t.strikes, t.delay = 0, 0
		return
	}
	if t.strikes > 0 && !t.asEver(now) {
		t.strikes = 0
	}
	t.strikes++
	t.delay = now.Sub(t.caused)
}

// asEver reports whether a change comes after the beginning of its reload as
// the one before did: a reload takes about as long each time, a person does
// not.
func (t *trail) asEver(now time.Time) bool {
	return (now.Sub(t.caused) - t.delay).Abs() <= max(200*time.Millisecond, t.delay/4)
}

func (o *outputs) judgeSuspect(t *trail, before, now time.Time, within bool) judgement {
	alone := !within && now.Sub(before) >= calm
	switch {
	case alone && t.holder != "": // perhaps it let go meanwhile
		t.held = true
		return judgement{ask: t.ask(now)}
	case alone:
		resume := t.state == suspended
		*t = trail{changed: now, times: [frequent]time.Time{now}}
		t.tell(now)
		return judgement{tell: true, resume: resume}
	case within && !t.held && !t.caused.IsZero() && t.asEver(now):
		t.relapse++
	}
	t.held = true
	if t.state == onTrial && (t.relapse >= relapses || t.tries >= maxTrials || now.Sub(t.since) >= trialLimit) {
		t.state, t.tries = suspended, 0
		return judgement{suspend: true}
	}
	return judgement{}
}

// ask reports whether to ask now: one question at a time.
func (t *trail) ask(now time.Time) bool {
	if t.asking {
		return false
	}
	t.asking, t.asked = true, now
	return true
}

// answered is told who has the path open for writing, if anybody.
func (o *outputs) answered(path, who string) (suspend bool) {
	t := o.traces[path]
	if t == nil {
		return false
	}
	t.asking = false
	t.holder = who
	if who == "" || t.state == suspended {
		return false
	}
	t.state = suspended
	return true
}

// due is when catchUp should be called next; zero: never.
func (o *outputs) due() (next time.Time) {
	for _, t := range o.traces {
		if at := o.dueAt(t); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// dueAt is when a path is at rest: to be told if something was held back, or
// acquitted if its last trial led to nothing.
func (o *outputs) dueAt(t *trail) time.Time {
	if t.state == heeded || t.holder != "" || t.state == suspended && (!t.held || t.tries >= catchUps) {
		return time.Time{}
	}
	wait := calm
	for range t.tries {
		if t.state == suspended {
			wait *= 5
		}
	}
	at := latest(t.changed, t.told).Add(wait)
	switch {
	case o.acting == 0:
		return latest(at, o.ended.Add(reloadGrace))
	case t.held: // another service's reload must not keep a person's save for ever
		return at.Add(restLimit)
	}
	return time.Time{}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// catchUp returns held paths that are at rest, to be told now, and acquits
// those that nothing happened to.
func (o *outputs) catchUp(now time.Time) (paths []string) {
	for path, t := range o.traces {
		at := o.dueAt(t)
		switch {
		case at.IsZero() || at.After(now):
		case !t.held:
			delete(o.traces, path)
		default:
			t.held, t.since = false, now
			t.tries++
			t.tell(now)
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
		return cmp.Or(cmp.Compare(x.state, y.state), x.changed.Compare(y.changed))
	})
	for _, path := range paths[:maxTraces/4] {
		delete(o.traces, path)
	}
}
