package kubernetes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/stead-dev/stead/runtime"
)

// generation is what the ledger knows of one: what its object says, its pods,
// and what was told of them.
type generation struct {
	record   record
	hash     string
	whole    bool      // all of its objects have been written, as far as this runtime knows
	known    bool      // its record is there; before, only pods were seen
	object   string    // "Deployment", "Job"; "": none is in the cluster
	uid      types.UID // of that, as it was seen
	name     string
	desired  int
	denied   string // the cluster makes no pods of it: why
	packing  context.CancelFunc
	pods     map[types.UID]*pod
	replicas []*replica

	proven   bool // some instance was ready once: a trial is over
	restarts int
	trouble  string                    // what packing, or the cluster, meets
	verdict  *runtime.GenerationStatus // how it ended by itself
	retired  bool                      // the cluster has been told the verdict
	stopping bool
	draining bool
	removed  bool  // the wish to remove its object has reached the cluster
	grace    int64 // that pods get at most; -1: their own
	claims   int   // calls that do themselves what the worker would
	tries    int   // of what the worker does, in a row, that failed
	again    time.Time

	told runtime.GenerationStatus
}

// replica is an index that pods take in turn.
type replica struct {
	holder   types.UID
	attempts int         // used up by earlier holders
	recent   []time.Time // restarts within Restart.Window
	last     *runtime.Exit
	ended    bool // not to be started again
}

func newGeneration(r record) *generation {
	return &generation{record: r, name: generationName(r.ID), pods: map[types.UID]*pod{}, grace: -1}
}

func (g *generation) ending() bool { return g.stopping || g.verdict != nil }

// seat gives p the lowest index that no other pod holds. A Job says the index
// itself. A pod that is on its way out holds none.
func (g *generation) seat(p *pod) {
	at := p.index
	for i := 0; at < 0; i++ {
		if i >= len(g.replicas) || g.free(i) {
			at = i
		}
	}
	for len(g.replicas) <= at {
		g.replicas = append(g.replicas, &replica{})
	}
	r := g.replicas[at]
	if before := g.pods[r.holder]; before != nil {
		r.attempts = max(r.attempts, before.base+before.used())
	}
	p.replica, p.base = at, r.attempts
	r.holder = p.uid
}

func (g *generation) free(i int) bool {
	holder := g.pods[g.replicas[i].holder]
	return holder == nil || holder.leaving || holder.over
}

// unseated are pods without an index, in the order in which they get one.
func (g *generation) unseated() []*pod {
	var list []*pod
	for _, p := range g.pods {
		if p.replica < 0 {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b *pod) int {
		if c := a.created.Compare(b.created); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	return list
}

// exited decides what the end of an instance means for its generation. The
// cluster starts it again in any case where that may be; this is about when
// not.
func (g *generation) exited(at time.Time, p *pod, e runtime.Exit) {
	r := g.replicas[p.replica]
	r.last = &e
	policy := g.record.Restart.Policy
	once := g.object == "Job" || g.object == "" && (g.record.OneShot || policy == runtime.RestartNo || policy == "")
	switch {
	case g.ending():
	case p.leaving && p.killed == "" && !(once && policy != runtime.RestartOnFailure): // somebody has moved it, which is no fault of its own
	case g.record.Trial && !g.proven:
		g.fail("ended before it was ready: " + describe(e))
	case e.Success() && (once || policy == runtime.RestartOnFailure), policy == runtime.RestartNo, policy == "":
		r.ended = true
		g.conclude()
	default:
		g.restarted(at, r, e)
	}
}

// conclude ends a generation of which no replica is to be started again.
func (g *generation) conclude() {
	if len(g.replicas) < g.desired {
		return
	}
	bad := (*runtime.Exit)(nil)
	for _, r := range g.replicas[:max(g.desired, 1)] {
		if !r.ended {
			return
		}
		if bad == nil && r.last != nil && !r.last.Success() {
			bad = r.last
		}
	}
	if bad != nil {
		g.fail(describe(*bad))
		return
	}
	g.verdict = &runtime.GenerationStatus{Phase: runtime.GenerationCompleted}
}

// restarted counts a restart against Restart.Limit: also the one that is due.
func (g *generation) restarted(at time.Time, r *replica, e runtime.Exit) {
	how := g.record.Restart
	if how.Limit > 0 {
		for how.Window > 0 && len(r.recent) > 0 && at.Sub(r.recent[0]) >= how.Window {
			r.recent = r.recent[1:]
		}
		if len(r.recent) >= how.Limit {
			within := ""
			if how.Window > 0 {
				within = " within " + how.Window.String()
			}
			g.fail(fmt.Sprintf("ended %d times%s (limit %d), last: %s", len(r.recent)+1, within, how.Limit, describe(e)))
			return
		}
		r.recent = append(r.recent, at)
	}
	g.restarts++
}

func (g *generation) fail(reason string) {
	g.verdict = &runtime.GenerationStatus{Phase: runtime.GenerationFailed, Reason: reason}
}

// live reports whether something of it runs, as far as the cluster has said.
func (g *generation) live() bool {
	for _, p := range g.pods {
		if p.running() {
			return true
		}
	}
	return false
}

// quiet reports whether the cluster runs nothing of it any more, as it is. Of
// a Deployment it always does.
func (g *generation) quiet() bool {
	for _, p := range g.pods {
		if !p.over {
			return false
		}
	}
	return g.object != "Deployment"
}

// status is the generation as a whole.
func (g *generation) status(now time.Time) runtime.GenerationStatus {
	s := runtime.GenerationStatus{Phase: runtime.GenerationRunning, Hash: g.hash, Handle: handle(g.record.ID), Restarts: g.restarts}
	switch {
	case g.stopping && g.verdict == nil:
		if s.Phase = runtime.GenerationStopping; g.object == "" && len(g.pods) == 0 && g.packing == nil {
			s.Phase = runtime.GenerationStopped
		}
	case g.verdict != nil && !g.live() && (g.retired || g.quiet()):
		s.Phase, s.Reason, s.Lost = g.verdict.Phase, g.verdict.Reason, g.verdict.Lost
	case g.verdict != nil:
		s.Reason = g.verdict.Reason
	default:
		s.Reason = g.complaint()
		if until, waits := g.backOff(); waits {
			s.Phase, s.Until = runtime.GenerationBackoff, until
			if s.Until.IsZero() {
				s.Until = now
			}
		}
	}
	return s
}

// complaint is the first thing that keeps some replica from running.
func (g *generation) complaint() string {
	if g.trouble != "" {
		return g.trouble
	}
	for _, p := range g.seated() {
		if p.trouble.reason != "" {
			return p.trouble.reason
		}
	}
	return g.denied
}

func (g *generation) seated() []*pod {
	return slices.SortedFunc(maps.Values(g.pods), func(a, b *pod) int { return a.replica - b.replica })
}

// backOff is when the first replica is started again, if every one waits.
func (g *generation) backOff() (time.Time, bool) {
	var first time.Time
	for _, p := range g.pods {
		if p.trouble.until == 0 || p.exits == 0 {
			return time.Time{}, false
		}
		if until := p.ended.Add(p.trouble.until); first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return first, len(g.pods) > 0
}
