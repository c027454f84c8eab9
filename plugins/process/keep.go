package process

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// keep is the pure step that keeps the replicas of one generation alive:
// facts go in, decisions come out, and nothing else happens. It is owned by
// one keeper. Time comes in as an argument.
type keep struct {
	spec     *runtime.Spec
	replicas []replica
	restarts int
	proven   bool   // some instance was ready once: a trial is over
	stopped  bool   // Stop was called before it ended by itself
	reason   string // why it gave up
}

// replica is one of the equal processes of a generation.
type replica struct {
	phase   replicaPhase
	attempt int
	row     int           // restarts since it last was ready for steadyAfter
	recent  []time.Time   // restarts within Restart.Window
	until   time.Time     // waiting: when to start; running: when to kill it
	late    bool          // running: until is the end of ReadyTimeout, not of a grace
	halted  bool          // late: when it was last looked at, a debugger held it
	ready   bool          //
	since   time.Time     // ready since
	steady  bool          // it was ready for steadyAfter, and is not any more
	detail  string        // what the probe saw last
	last    *runtime.Exit // of the attempt before
}

type replicaPhase int

const (
	replicaWaiting replicaPhase = iota // until its time to start
	replicaRunning                     // from the decision to start it to its exit
	replicaEnding                      // as running, but the end has been asked for
	replicaEnded                       // will not be started again
)

// fact is what the world tells a keep.
type fact struct {
	kind             factKind
	replica, attempt int
	readiness        runtime.Readiness   // factProbed
	why              string              // factSick
	halted           bool                // factLooked
	exit             runtime.Exit        // factExited, also for a start that failed
	stop             runtime.StopRequest // factStop
}

type factKind int

const (
	factBegin factKind = iota
	factStarted
	factProbed
	factSick   // Live has failed too often
	factLooked // the answer to decideLook
	factExited
	factTimer
	factStop
)

// decision is what a keep wants done.
type decision struct {
	kind             decisionKind
	replica, attempt int
	why              string // decideKill: for the exit, when the instance itself is at fault
}

type decisionKind int

const (
	decideStart  decisionKind = iota
	decideSignal              // Spec.Stop.Signal to the process group
	decideKill                // SIGKILL to the process group; the tree follows
	decideLook                // whether it is halted, and not to blame for being late
)

// What a spec that says nothing gets. Without a least delay a service that
// cannot start would take a core for itself.
const (
	defaultMin  = 100 * time.Millisecond
	defaultMax  = 30 * time.Second
	steadyAfter = time.Second // of ready: the next restart is immediate
	haltedEvery = time.Second // an instance that is late and halted is looked at again
)

func newKeep(spec *runtime.Spec) *keep {
	return &keep{spec: spec, replicas: make([]replica, max(spec.Replicas, 1))}
}

// step takes one fact and says what to do now.
func (k *keep) step(now time.Time, f fact) []decision {
	switch f.kind {
	case factStop:
		return append(k.stop(now, f.stop), k.due(now)...)
	case factStarted, factProbed, factSick, factLooked, factExited:
		if r := &k.replicas[f.replica]; r.attempt == f.attempt && r.alive() {
			return append(k.told(now, r, f), k.due(now)...)
		}
	case factBegin, factTimer:
	}
	return k.due(now)
}

// told handles a fact about the living attempt of r.
func (k *keep) told(now time.Time, r *replica, f fact) []decision {
	switch f.kind {
	case factStarted:
		if r.phase == replicaRunning && k.spec.ReadyTimeout > 0 && k.spec.Ready != nil {
			r.until, r.late = now.Add(k.spec.ReadyTimeout), true
		}
	case factProbed:
		k.probed(now, r, f.readiness)
	case factSick:
		if r.phase == replicaRunning {
			return []decision{{kind: decideKill, replica: f.replica, attempt: f.attempt, why: f.why}}
		}
	case factLooked:
		return k.looked(now, r, f)
	case factExited:
		return k.exited(now, r, f.exit)
	}
	return nil
}

// looked ends an instance whose ReadyTimeout is over, unless it is halted.
// When somebody lets it go on, its time begins anew: how much of it had
// passed before it was halted is not known.
func (k *keep) looked(now time.Time, r *replica, f fact) []decision {
	switch was := r.halted; {
	case !r.late || r.phase != replicaRunning:
	case f.halted:
		r.halted = true
	case was:
		r.halted, r.until = false, now.Add(k.spec.ReadyTimeout)
	default:
		r.until, r.late = time.Time{}, false // killed once; the exit is certain to come
		why := fmt.Sprintf("not ready within %s", k.spec.ReadyTimeout)
		if r.detail != "" {
			why += ": " + r.detail
		}
		return []decision{{kind: decideKill, replica: f.replica, attempt: f.attempt, why: why}}
	}
	return nil
}

func (k *keep) probed(now time.Time, r *replica, seen runtime.Readiness) {
	r.detail = seen.Detail
	switch {
	case seen.Ready && !r.ready:
		r.ready, r.since, k.proven = true, now, true
		if r.late {
			r.until, r.late = time.Time{}, false
		}
	case !seen.Ready && r.ready:
		r.ready, r.steady = false, r.steady || now.Sub(r.since) >= steadyAfter
	}
}

// exited decides what becomes of a replica whose instance has ended.
func (k *keep) exited(now time.Time, r *replica, e runtime.Exit) []decision {
	steady := r.steady || r.ready && now.Sub(r.since) >= steadyAfter
	if steady {
		r.row = 0
	}
	r.last, r.ready, r.steady, r.until, r.late = &e, false, false, time.Time{}, false
	policy := k.spec.Restart.Policy
	switch {
	case k.ending():
		r.phase = replicaEnded
	case k.spec.Trial && !k.proven:
		r.phase = replicaEnded
		return k.giveUp(now, "ended before it was ready: "+describe(e))
	case policy == runtime.RestartAlways || policy == runtime.RestartOnFailure && !e.Success():
		return k.again(now, r, steady)
	default:
		r.phase = replicaEnded
	}
	return nil
}

// again schedules the next attempt of r, or gives up. The next restart counts
// against the limit as well, at the time when it would happen.
func (k *keep) again(now time.Time, r *replica, steady bool) []decision {
	how := k.spec.Restart
	r.row++
	next := now
	if !steady {
		next = now.Add(backoff(how, r.row, runtime.InstanceID{ID: k.spec.ID, Replica: k.index(r), Attempt: r.attempt + 1}))
	}
	if how.Limit > 0 {
		for how.Window > 0 && len(r.recent) > 0 && next.Sub(r.recent[0]) >= how.Window {
			r.recent = r.recent[1:]
		}
		if len(r.recent) >= how.Limit {
			r.phase = replicaEnded
			return k.giveUp(now, tooOften(how, len(r.recent)+1, *r.last))
		}
		r.recent = append(r.recent, next)
	}
	r.phase, r.until = replicaWaiting, next
	return nil
}

func tooOften(how runtime.Restart, ends int, last runtime.Exit) string {
	within := ""
	if how.Window > 0 {
		within = " within " + how.Window.String()
	}
	return fmt.Sprintf("ended %d times%s (limit %d), last: %s", ends, within, how.Limit, describe(last))
}

// backoff is the delay before restart n in a row, as runtime.Restart says.
func backoff(how runtime.Restart, n int, next runtime.InstanceID) time.Duration {
	least, most := how.Min, how.Max
	if least <= 0 {
		least = defaultMin
	}
	if most <= 0 {
		most = max(defaultMax, least)
	}
	delay := least
	for ; n > 1 && delay < most; n-- {
		delay *= 2
	}
	delay = min(delay, most)
	h := fnv.New32a()
	h.Write([]byte(next.String()))
	return delay + delay*time.Duration(h.Sum32()%1000)/10000
}

// giveUp ends the generation as failed, and with it what still runs.
func (k *keep) giveUp(now time.Time, reason string) []decision {
	k.reason = reason
	return k.end(now, k.spec.Stop.Grace)
}

func (k *keep) stop(now time.Time, how runtime.StopRequest) []decision {
	if k.final() {
		return nil
	}
	if k.reason == "" {
		k.stopped = true
	}
	grace := k.spec.Stop.Grace
	if how.Grace > 0 {
		grace = how.Grace
	}
	if how.Kill {
		grace = 0
	}
	return k.end(now, grace)
}

// end asks every replica to end within grace. A replica that was asked before
// keeps the shorter limit; due does the killing.
func (k *keep) end(now time.Time, grace time.Duration) []decision {
	var todo []decision
	limit := now.Add(grace)
	for i := range k.replicas {
		r := &k.replicas[i]
		switch r.phase {
		case replicaWaiting:
			r.phase, r.until = replicaEnded, time.Time{}
		case replicaRunning:
			r.phase, r.until, r.late = replicaEnding, limit, false
			if grace > 0 {
				todo = append(todo, decision{kind: decideSignal, replica: i, attempt: r.attempt})
			}
		case replicaEnding:
			if !r.until.IsZero() && limit.Before(r.until) {
				r.until = limit
			}
		case replicaEnded:
		}
	}
	return todo
}

// due turns every limit that has passed into a decision.
func (k *keep) due(now time.Time) []decision {
	var todo []decision
	for i := range k.replicas {
		r := &k.replicas[i]
		switch {
		case r.phase == replicaEnded, r.until.After(now):
		case r.phase == replicaWaiting:
			if r.attempt > 0 {
				k.restarts++
			}
			r.attempt++
			r.phase, r.until, r.detail, r.halted = replicaRunning, time.Time{}, "", false
			todo = append(todo, decision{kind: decideStart, replica: i, attempt: r.attempt})
		case r.late:
			r.until = now.Add(haltedEvery)
			todo = append(todo, decision{kind: decideLook, replica: i, attempt: r.attempt})
		case !r.until.IsZero():
			r.until = time.Time{} // killed once; the exit is certain to come
			todo = append(todo, decision{kind: decideKill, replica: i, attempt: r.attempt})
		}
	}
	return todo
}

// next returns when step wants a factTimer, zero for never.
func (k *keep) next() time.Time {
	var first time.Time
	for i := range k.replicas {
		r := &k.replicas[i]
		if r.phase != replicaEnded && !r.until.IsZero() && (first.IsZero() || r.until.Before(first)) {
			first = r.until
		}
	}
	return first
}

func (r *replica) alive() bool { return r.phase == replicaRunning || r.phase == replicaEnding }

func (k *keep) ending() bool { return k.stopped || k.reason != "" }

func (k *keep) final() bool {
	for i := range k.replicas {
		if k.replicas[i].phase != replicaEnded {
			return false
		}
	}
	return true
}

func (k *keep) index(r *replica) int {
	for i := range k.replicas {
		if &k.replicas[i] == r {
			return i
		}
	}
	return 0
}
