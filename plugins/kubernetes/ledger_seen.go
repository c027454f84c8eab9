package kubernetes

import (
	"cmp"
	"encoding/json"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stead-dev/stead/runtime"
)

// What the ledger takes in from the reflectors, an object at a time.

// deployment takes in a Deployment.
func (l *ledger) deployment(d *appsv1.Deployment) {
	desired, denied := 1, ""
	if d.Spec.Replicas != nil {
		desired = int(*d.Spec.Replicas)
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			denied = refused(c.Message)
		}
	}
	l.object("Deployment", &d.ObjectMeta, desired, denied)
}

// job takes in a Job.
func (l *ledger) job(j *batchv1.Job) {
	desired := 1
	if j.Spec.Completions != nil {
		desired = int(*j.Spec.Completions)
	}
	l.object("Job", &j.ObjectMeta, desired, "")
}

func (l *ledger) object(kind string, o *metav1.ObjectMeta, desired int, denied string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, err := parseRecord(o.Annotations[annotationSpec])
	if err != nil || keyOf(r.ID) != keyIn(o.Labels) {
		return // somebody has given it our labels
	}
	g := l.at(keyIn(o.Labels))
	if !g.known {
		l.meet(g, r, o.Annotations[annotationHash])
	}
	g.object, g.name, g.uid, g.denied = kind, o.Name, o.UID, denied
	if text := o.Annotations[annotationEnd]; text != "" && g.verdict == nil {
		var end runtime.GenerationStatus
		if json.Unmarshal([]byte(text), &end) == nil && end.Phase.Final() {
			g.verdict = &end
			g.restarts = max(g.restarts, end.Restarts)
		}
	}
	if o.Annotations[annotationEnd] != "" {
		g.retired = true
	} else {
		g.desired = desired
	}
	if o.DeletionTimestamp != nil {
		g.removed = true
		g.stopping = true // whoever wished it: by background deletion it would be gone
	}
	for _, p := range g.unseated() {
		g.seat(p)
		l.look(g, p)
	}
	l.settle(g)
}

// objectGone: the Deployment or Job is not there any more.
func (l *ledger) objectGone(labels map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.generations[keyIn(labels)]
	if g == nil || !g.known {
		return
	}
	if !g.stopping && g.verdict == nil {
		g.verdict = &runtime.GenerationStatus{
			Phase: runtime.GenerationFailed, Lost: true,
			Reason: "its " + strings.ToLower(g.object) + " " + g.name + " was removed from the cluster, and not by stead",
		}
	}
	g.object, g.removed, g.retired = "", false, true
	l.settle(g)
}

// pod takes in a pod as it is now.
func (l *ledger) pod(s *corev1.Pod) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := keyIn(s.Labels)
	g := l.at(key)
	p := g.pods[s.UID]
	if p == nil {
		p = newPod(s)
		g.pods[s.UID] = p
		l.owners[s.UID] = key
	}
	p.status = s
	if !g.known {
		return // its object is about to be seen
	}
	if p.replica < 0 {
		g.seat(p)
	}
	l.look(g, p)
	l.settle(g)
}

// podGone: how an instance ended that ran to the last is not known.
func (l *ledger) podGone(s *corev1.Pod) {
	l.pod(s) // it may say more than was seen
	l.mu.Lock()
	defer l.mu.Unlock()
	key := keyIn(s.Labels)
	g := l.generations[key]
	p := g.pods[s.UID]
	if p.replica >= 0 {
		if p.running() {
			why := evicted(s)
			l.exit(g, p, p.starts, l.now(), runtime.Exit{Code: -1, Lost: true, Error: why})
		}
		if r := g.replicas[p.replica]; r.holder == s.UID {
			r.attempts, r.holder = max(r.attempts, p.base+p.used()), ""
		}
	}
	delete(g.pods, s.UID)
	delete(l.owners, s.UID)
	if !g.known && len(g.pods) == 0 {
		delete(l.generations, key)
		return
	}
	l.settle(g)
}

// warned takes in an event of type Warning.
func (l *ledger) warned(e *corev1.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.InvolvedObject.Kind {
	case "Pod":
		g := l.generations[l.owners[e.InvolvedObject.UID]]
		if g == nil || !g.known {
			return
		}
		l.warnedOf(g, g.pods[e.InvolvedObject.UID], e)
	case "Job":
		for _, g := range l.generations {
			if g.object == "Job" && g.name == e.InvolvedObject.Name && len(g.pods) == 0 && warning(e) != "" {
				g.denied = warning(e)
				l.settle(g)
			}
		}
	}
}

func (l *ledger) warnedOf(g *generation, p *pod, e *corev1.Event) {
	if e.Reason == "Unhealthy" {
		l.unhealthy(g, p, e.Message)
		return
	}
	if text := warning(e); text != "" && !p.running() && p.trouble.reason == "" {
		p.trouble, p.since = trouble{reason: text}, l.now()
		l.settle(g)
	}
}

// unhealthy keeps what a probe has seen.
func (l *ledger) unhealthy(g *generation, p *pod, message string) {
	if !p.running() || p.replica < 0 {
		return
	}
	if text, live := strings.CutPrefix(message, "Liveness probe failed:"); live {
		p.sick = cmp.Or(strings.TrimSpace(text), "its command says so")
		return
	}
	_, text, _ := strings.Cut(message, " probe failed:")
	text = cmp.Or(strings.TrimSpace(text), "its probe fails")
	if text == p.detail || p.ready || p.leaving {
		p.detail = text
		return
	}
	p.detail = text
	l.journal.Ready(p.instance(g.record.ID, p.starts), runtime.Readiness{Detail: text})
}
