package kubernetes

import (
	"context"
	"encoding/json"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/stead-dev/stead/runtime"
)

// worker does what the ledger wants done. What that is follows from the
// ledger's present, so nothing waits in a queue; what fails is wanted again.
type worker struct {
	r    *Runtime
	poke chan struct{} // holds one: look again
}

func newWorker(r *Runtime) *worker { return &worker{r: r, poke: make(chan struct{}, 1)} }

func (w *worker) wake() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// run ends with the runtime.
func (w *worker) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var jobs []job
		var next time.Time
		if w.r.lease.driver().Self { // it wakes us when that changes
			jobs, next = w.r.ledger.todo()
		}
		for _, j := range jobs {
			w.do(j)
		}
		if len(jobs) > 0 {
			continue
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = max(0, next.Sub(w.r.now()))
		}
		timer.Reset(wait)
		select {
		case <-w.r.ctx.Done():
			return
		case <-w.poke:
		case <-timer.C:
		}
	}
}

// job is one thing to do.
type job struct {
	id     runtime.ID
	remove bool                      // the generation's object
	retire *runtime.GenerationStatus // write how it ended, and have nothing of it run
	pod    string                    // end this one
	uid    types.UID
	grace  int64
}

// todo is what there is to do now, and when to look again.
func (l *ledger) todo() (jobs []job, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	later := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, g := range l.generations {
		if !g.known || g.claims > 0 {
			continue
		}
		for _, p := range g.pods {
			if due := l.overdue(g, p, now); !due.IsZero() {
				later(due)
			}
		}
		if g.again.After(now) {
			later(g.again)
			continue
		}
		jobs = append(jobs, g.todo()...)
	}
	return jobs, next
}

func (g *generation) todo() []job {
	var jobs []job
	id := g.record.ID
	switch {
	case g.object == "":
	case g.stopping && !g.draining && !g.removed:
		jobs = append(jobs, job{id: id, remove: true})
	case g.verdict != nil && !g.retired && !g.stopping && !g.quiet():
		end := *g.verdict
		end.Restarts = g.restarts
		jobs = append(jobs, job{id: id, retire: &end})
	}
	for _, p := range g.pods {
		if p.killed != "" && !p.killing && !p.leaving {
			jobs = append(jobs, job{id: id, pod: p.name, uid: p.uid, grace: 1})
		}
	}
	if g.removed || g.object == "" { // see Runtime.end for those before
		jobs = append(jobs, g.hurried()...)
	}
	return jobs
}

// hurried ends pods with less than their own grace.
func (g *generation) hurried() []job {
	var jobs []job
	for _, p := range g.pods {
		told := p.leaving && p.grace <= g.grace || p.killing && !p.leaving
		if g.grace >= 0 && !g.draining && !p.over && !told {
			jobs = append(jobs, job{id: g.record.ID, pod: p.name, uid: p.uid, grace: g.grace})
		}
	}
	return jobs
}

func (l *ledger) hurried(id runtime.ID) []job {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.generations[keyOf(id)]
	if g == nil {
		return nil
	}
	return g.hurried()
}

// claim keeps the worker from a generation that somebody else ends, until the
// function that is returned is called.
func (l *ledger) claim(id runtime.ID) (release func()) {
	var mine *generation
	l.change(id, func(g *generation) { mine, g.claims = g, g.claims+1 })
	return func() {
		l.change(id, func(g *generation) {
			if g == mine { // else it has ended, and this is a later one
				g.claims--
			}
		})
	}
}

// overdue ends what does not get ready in time, and what cannot ever start. It
// returns when to look again.
func (l *ledger) overdue(g *generation, p *pod, now time.Time) time.Time {
	if g.ending() || p.leaving || p.over || p.replica < 0 {
		return time.Time{}
	}
	var due time.Time
	switch {
	case p.running() && !p.proven && g.record.Ready && g.record.ReadyTimeout > 0 && p.killed == "":
		if due = p.began.Add(g.record.ReadyTimeout); !due.After(now) {
			p.killed = "not ready within " + g.record.ReadyTimeout.String()
			if p.detail != "" {
				p.killed += ": " + p.detail
			}
			return time.Time{}
		}
	case !p.running() && p.trouble.hard && p.used() == p.exits:
		if due = p.since.Add(p.trouble.after); !due.After(now) {
			l.unstartable(g, p)
			return time.Time{}
		}
	}
	return due
}

// unstartable tells a start that failed, once for each trouble: the cluster
// will try again, as another attempt.
func (l *ledger) unstartable(g *generation, p *pod) {
	why := p.trouble.reason
	p.trouble.hard = false
	l.exit(g, p, p.used()+1, l.now(), runtime.Exit{Code: -1, Error: why})
	p.base++ // the container that comes of it, if any, is the next attempt
	p.exits--
	p.starts = p.exits
	l.tell(g)
}

// do does one thing, and has it done again a little later should it fail.
func (w *worker) do(j job) {
	ctx, cancel := context.WithTimeout(w.r.ctx, callTime)
	defer cancel()
	var err error
	switch {
	case j.remove:
		err = w.r.end(ctx, j.id)
	case j.retire != nil:
		w.r.keepLogs(ctx, j.id, "")
		err = w.r.retire(ctx, j.id, *j.retire)
	default:
		w.r.keepLogs(ctx, j.id, j.pod)
		err = w.r.endPod(ctx, j)
	}
	w.r.ledger.did(j, err)
	if err != nil && w.r.ctx.Err() == nil {
		w.r.log.Warn("the cluster does not do it", "gen", j.id.String(), "err", err)
	}
}

func (l *ledger) did(j job, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.generations[keyOf(j.id)]
	if g == nil {
		return
	}
	if err != nil {
		g.tries++
		g.again = l.now().Add(min(30*time.Second, 200*time.Millisecond<<min(g.tries, 8)))
		return
	}
	g.tries = 0
	switch p := g.pods[j.uid]; {
	case j.remove:
		g.removed = true
	case j.retire != nil:
		g.retired = true
		l.tell(g)
	case p != nil:
		p.grace, p.killing = j.grace, true
	}
}

// remove takes a generation's object away, and by it its pods; in the
// foreground, so that it is there as long as they are.
func (r *Runtime) remove(ctx context.Context, id runtime.ID) error {
	kind, name, there := r.ledger.named(id)
	if !there {
		return nil
	}
	err := r.to(kind).remove(ctx, name, metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)})
	if apierrors.IsNotFound(err) {
		r.ledger.change(id, func(g *generation) { g.object = "" })
		return nil
	}
	if err != nil {
		return r.explain(err, "remove %s %s", kind, name)
	}
	r.ledger.change(id, func(g *generation) { g.removed = true })
	return nil
}

func (l *ledger) named(id runtime.ID) (kind, name string, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.generations[keyOf(id)]
	if g == nil {
		return "", "", false
	}
	return g.object, g.name, g.object != ""
}

// retire writes how a generation ended to its object, where kubectl shows it
// and a successor of this runtime reads it, and has the cluster run none of it.
func (r *Runtime) retire(ctx context.Context, id runtime.ID, end runtime.GenerationStatus) error {
	kind, name, there := r.ledger.named(id)
	if !there {
		return nil
	}
	text, err := json.Marshal(end)
	if err != nil {
		return err
	}
	spec := map[string]any{"replicas": 0}
	if kind == "Job" {
		spec = map[string]any{"suspend": true}
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{annotationEnd: string(text)}}, "spec": spec,
	})
	if err != nil {
		return err
	}
	_, err = r.to(kind).patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: manager})
	if err != nil && !apierrors.IsNotFound(err) {
		return r.explain(err, "end %s %s", kind, name)
	}
	return nil
}

func (r *Runtime) endPod(ctx context.Context, j job) error {
	if err := r.lease.hold(ctx); err != nil {
		return err
	}
	err := r.client.CoreV1().Pods(r.namespace).Delete(ctx, j.pod, metav1.DeleteOptions{
		GracePeriodSeconds: &j.grace, Preconditions: &metav1.Preconditions{UID: &j.uid},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return r.explain(err, "end pod %s", j.pod)
	}
	return nil
}
