package kubernetes

import (
	"context"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/journal"
)

// ledger turns what the cluster says into events. Each change is taken in and
// told under its mutex, in the order of the reflector that brings it; reflectors
// of different kinds keep no order among them, so pods may be seen before
// their generation's object and after it.
type ledger struct {
	journal *journal.Journal
	now     func() time.Time
	wake    func() // there may be something for the worker

	mu          sync.Mutex
	generations map[string]*generation // by key
	owners      map[types.UID]string   // pod -> key
	changed     chan struct{}          // closed, and made anew, by each change
}

func newLedger(j *journal.Journal, now func() time.Time, wake func()) *ledger {
	return &ledger{journal: j, now: now, wake: wake, generations: map[string]*generation{}, owners: map[types.UID]string{}, changed: make(chan struct{})}
}

func keyOf(id runtime.ID) string {
	return labelValue(id.Service) + "/" + strconv.FormatUint(id.Number, 10)
}

func keyIn(labels map[string]string) string {
	return labels[labelService] + "/" + labels[labelGeneration]
}

// at returns what is known under a key, made when there is nothing.
func (l *ledger) at(key string) *generation {
	g := l.generations[key]
	if g == nil {
		g = newGeneration(record{})
		l.generations[key] = g
	}
	return g
}

// begin makes a generation known that Start has accepted. packing, unless nil,
// ends what is done before there are objects. It reports whether it was new.
func (l *ledger) begin(r record, hash string, replicas int32, packing context.CancelFunc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.at(keyOf(r.ID))
	g.whole = g.whole || packing == nil
	if g.known {
		return false
	}
	l.meet(g, r, hash)
	g.packing, g.desired = packing, int(replicas)
	if packing == nil {
		g.object = map[bool]string{true: "Job", false: "Deployment"}[r.job()]
	}
	l.settle(g)
	l.tidy(r.ID)
	return true
}

// tidy has the objects removed of generations that ended long before id: the
// one before it stays to be looked at.
func (l *ledger) tidy(id runtime.ID) {
	for _, g := range l.generations {
		old := g.known && g.record.ID.Service == id.Service && g.record.ID.Number+1 < id.Number
		if old && g.told.Phase.Final() && g.object != "" {
			g.stopping = true
		}
	}
}

func (r record) job() bool {
	return isJob(&runtime.Spec{OneShot: r.OneShot, Restart: r.Restart})
}

// meet fills in who a generation is.
func (l *ledger) meet(g *generation, r record, hash string) {
	g.record, g.hash, g.known, g.name = r, hash, true, generationName(r.ID)
}

// packed ends the time before there are objects.
func (l *ledger) packed(id runtime.ID, err error) {
	l.change(id, func(g *generation) {
		g.packing, g.trouble, g.whole = nil, "", true
		switch {
		case err == nil:
			if g.object == "" {
				g.object = map[bool]string{true: "Job", false: "Deployment"}[g.record.job()]
			}
			return
		case g.stopping:
			return
		}
		l.tell(g)
		text := err.Error()
		l.journal.Exited(runtime.InstanceID{ID: id, Attempt: 1}, runtime.Exit{Code: -1, Error: text})
		g.fail(text)
	})
}

func (l *ledger) troubled(id runtime.ID, why string) {
	l.change(id, func(g *generation) { g.trouble = why })
}

// change does something to a generation, tells what became of it, and wakes
// the worker.
func (l *ledger) change(id runtime.ID, do func(*generation)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.generations[keyOf(id)]; g != nil && g.known {
		do(g)
		l.settle(g)
	}
}

// settle tells how a generation stands, and drops it when it is over.
func (l *ledger) settle(g *generation) {
	l.tell(g)
	l.wake()
	close(l.changed)
	l.changed = make(chan struct{})
}

// tell publishes a generation's status when it is another one.
func (l *ledger) tell(g *generation) {
	if !g.known || g.told.Phase.Final() {
		return
	}
	s := g.status(l.now())
	if same(s, g.told) {
		return
	}
	g.told = s
	l.journal.Generation(g.record.ID, s)
}

// same overlooks that a back-off ends a little later than was said.
func same(a, b runtime.GenerationStatus) bool {
	if d := a.Until.Sub(b.Until).Abs(); d > time.Second {
		return false
	}
	return a.Phase == b.Phase && a.Reason == b.Reason && a.Restarts == b.Restarts && a.Lost == b.Lost && a.Hash == b.Hash
}

// hash of a generation that is known, and whether there is nothing left to
// write of it: of one that ended there never is.
func (l *ledger) hash(id runtime.ID) (hash string, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.generations[keyOf(id)]
	if g == nil || !g.known {
		return "", false
	}
	return g.hash, g.whole || g.packing != nil || g.ending()
}

// next is the number after the highest of a service.
func (l *ledger) next(id runtime.ID) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	highest := uint64(0)
	for _, g := range l.generations {
		if g.known && g.record.ID.Service == id.Service {
			highest = max(highest, g.record.ID.Number)
		}
	}
	return highest + 1
}

func (l *ledger) record(id runtime.ID) (record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.generations[keyOf(id)]
	if g == nil || !g.known {
		return record{}, false
	}
	return g.record, true
}

// stop notes the wish to end a generation, and reports whether its object is
// to be removed. The shorter of two graces holds.
func (l *ledger) stop(id runtime.ID, how runtime.StopRequest, drain bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.generations[keyOf(id)]
	if g == nil || !g.known {
		return false
	}
	grace := int64(-1)
	switch {
	case how.Kill:
		grace = 1
	case how.Grace > 0:
		grace = seconds(how.Grace)
	}
	if grace >= 0 && (g.grace < 0 || grace < g.grace) {
		g.grace = grace
	}
	if g.packing != nil {
		g.packing()
	}
	again := g.stopping && g.draining && drain
	g.stopping = true
	g.draining = drain
	l.settle(g)
	return g.object != "" && !g.removed && !again
}

func (l *ledger) drained(id runtime.ID) {
	l.change(id, func(g *generation) { g.draining = false })
}

// forget drops generations whose end was acknowledged. Those whose object
// stays are kept in mind, but not told again.
func (l *ledger) forget(ids []runtime.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if g := l.generations[keyOf(id)]; g != nil && g.object == "" && len(g.pods) == 0 {
			delete(l.generations, keyOf(id))
		}
	}
}

// podsOf are the UIDs of a generation's pods.
func (l *ledger) podsOf(id runtime.ID) map[types.UID]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	uids := map[types.UID]bool{}
	if g := l.generations[keyOf(id)]; g != nil {
		for uid := range g.pods {
			uids[uid] = true
		}
	}
	return uids
}

// idle reports whether nothing is left that runs or is about to.
func (l *ledger) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.generations {
		if g.object != "" || len(g.pods) > 0 || g.packing != nil {
			return false
		}
	}
	return true
}

// all are the generations that are known.
func (l *ledger) all() []runtime.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []runtime.ID
	for _, g := range l.generations {
		if g.known {
			ids = append(ids, g.record.ID)
		}
	}
	return ids
}
