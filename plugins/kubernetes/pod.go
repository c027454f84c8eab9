package kubernetes

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stead-dev/stead/runtime"
)

// pod is what the ledger knows of one. Its attempts are counted from base:
// the first container is base+1, the next, after a restart, base+2.
type pod struct {
	uid     types.UID
	name    string
	ip      string
	created time.Time
	index   int // by its Job; -1: none
	replica int // -1: not yet
	base    int
	status  *corev1.Pod // as it was seen last, trimmed

	starts  int // containers whose start was told
	exits   int // containers whose end was told
	ready   bool
	proven  bool // this container was ready once
	detail  string
	began   time.Time // the container that runs
	ended   time.Time // the last one
	since   time.Time // trouble has been the same since
	trouble trouble
	sick    string // what the liveness probe saw last
	killed  string // stead ends it: why
	killing bool   // the wish has reached the cluster
	leaving bool   // it has been asked to end
	grace   int64  // of that
	over    bool   // it has ended, and stays to be looked at
	first   bool   // what is looked at is its first status
}

func newPod(p *corev1.Pod) *pod {
	index, err := strconv.Atoi(p.Annotations["batch.kubernetes.io/job-completion-index"])
	if err != nil {
		index = -1
	}
	return &pod{uid: p.UID, name: p.Name, created: p.CreationTimestamp.Time, index: index, replica: -1, first: true}
}

func (p *pod) running() bool { return p.starts > p.exits }

// used are the attempts that the pod has had.
func (p *pod) used() int { return max(p.starts, p.exits) }

func (p *pod) instance(id runtime.ID, container int) runtime.InstanceID {
	return runtime.InstanceID{ID: id, Replica: p.replica, Attempt: p.base + container}
}

// main is the status of the service's own container: the first.
func (p *pod) main() *corev1.ContainerStatus {
	if len(p.status.Spec.Containers) == 0 {
		return nil
	}
	for i, c := range p.status.Status.ContainerStatuses {
		if c.Name == p.status.Spec.Containers[0].Name {
			return &p.status.Status.ContainerStatuses[i]
		}
	}
	return nil
}

// look tells what has changed in a pod, in the order in which it happened.
func (l *ledger) look(g *generation, p *pod) {
	s := p.status
	p.ip = s.Status.PodIP
	if p.leaving = s.DeletionTimestamp != nil; p.leaving && s.DeletionGracePeriodSeconds != nil {
		p.grace = *s.DeletionGracePeriodSeconds
	}
	p.over = s.Status.Phase == corev1.PodSucceeded || s.Status.Phase == corev1.PodFailed
	now, c := trouble{}, p.main()
	switch {
	case c == nil:
		now = unscheduled(s)
	default:
		l.ends(g, p, c)
		l.runs(g, p, c)
		if c.State.Waiting != nil {
			now = waiting(c.State.Waiting)
		}
	}
	if now.reason == "" && p.trouble.reason != "" && !p.running() && c != nil && c.State.Waiting != nil {
		now = p.trouble // what a warning said holds until the container runs
	}
	if now.reason != p.trouble.reason {
		p.since = l.now()
	}
	p.trouble = now
	if p.over && p.running() {
		l.exit(g, p, p.starts, l.now(), runtime.Exit{Code: -1, Lost: evicted(s) == "", Error: evicted(s)})
	}
	p.first = false
}

// ends tells the ends that a container's status has, each once. What is in
// state, or has the ID of the present container, is the end of that; another
// one is of the container before.
func (l *ledger) ends(g *generation, p *pod, c *corev1.ContainerStatus) {
	present := int(c.RestartCount) + 1
	if t := c.LastTerminationState.Terminated; t != nil {
		which := present - 1
		if c.State.Terminated == nil && t.ContainerID == c.ContainerID {
			which = present
		}
		l.end(g, p, which, t)
	}
	if t := c.State.Terminated; t != nil {
		l.end(g, p, present, t)
	}
}

func (l *ledger) end(g *generation, p *pod, which int, t *corev1.ContainerStateTerminated) {
	if which <= p.exits {
		return
	}
	if p.first { // those before were told by a predecessor, or never will be
		l.inherit(g, p, which-1)
	}
	for p.exits < which-1 { // two ends between two looks
		l.exit(g, p, p.exits+1, t.StartedAt.Time, runtime.Exit{Code: -1, Lost: true, Error: "it was started again before the cluster said how it had ended"})
	}
	if p.starts < which && !notStarted(t) {
		l.start(g, p, which, t.StartedAt.Time)
	}
	l.exit(g, p, which, t.FinishedAt.Time, l.fault(g, p, exitOf(t, g.record.SuccessCodes)))
}

// inherit counts containers of which a predecessor of this runtime has told.
// One that is on trial is not started again: it has passed it.
func (l *ledger) inherit(g *generation, p *pod, containers int) {
	p.starts, p.exits = containers, containers
	g.restarts += containers
	g.proven = g.proven || containers > 0
}

// fault says what else than itself ended an instance.
func (l *ledger) fault(g *generation, p *pod, e runtime.Exit) runtime.Exit {
	switch why := evicted(p.status); {
	case p.killed != "":
		e.Error, e.Expected = p.killed, false
	case e.OOM || e.Error != "" || g.ending():
	case why != "":
		e.Error, e.Expected = why, false
	case p.sick != "" && g.record.LiveFailures > 0 && !p.leaving:
		e.Error, e.Expected = fmt.Sprintf("liveness probe failed %d times: %s", g.record.LiveFailures, p.sick), false
	}
	return e
}

// runs tells that the present container has started, and whether it is ready.
func (l *ledger) runs(g *generation, p *pod, c *corev1.ContainerStatus) {
	if c.State.Running == nil || p.ip == "" {
		return
	}
	present := int(c.RestartCount) + 1
	if p.first && p.used() < present-1 {
		l.inherit(g, p, present-1)
	}
	for p.exits < present-1 {
		l.exit(g, p, p.exits+1, c.State.Running.StartedAt.Time, runtime.Exit{Code: -1, Lost: true, Error: "the cluster does not say how it ended"})
	}
	if p.starts < present {
		l.start(g, p, present, c.State.Running.StartedAt.Time)
	}
	switch {
	case c.Ready && !p.ready:
		p.ready, p.proven, g.proven, p.detail = true, true, true, ""
		l.journal.Ready(p.instance(g.record.ID, present), runtime.Readiness{Ready: true})
	case !c.Ready && p.ready && !p.leaving:
		p.ready = false
		l.journal.Ready(p.instance(g.record.ID, present), runtime.Readiness{Detail: cmp.Or(p.detail, "its pod is not ready")})
	}
}

func (l *ledger) start(g *generation, p *pod, which int, at time.Time) {
	l.tell(g) // first the generation, then what is in it
	p.starts, p.ready, p.proven, p.detail, p.sick, p.began = which, false, false, "", "", at
	endpoints := map[string]string{}
	for _, one := range g.record.Ports {
		endpoints[one.Name] = net.JoinHostPort(p.ip, strconv.Itoa(int(one.Container)))
	}
	l.journal.Started(p.instance(g.record.ID, which), runtime.Started{Endpoints: endpoints})
}

// exit tells the one end that every instance has.
func (l *ledger) exit(g *generation, p *pod, which int, at time.Time, e runtime.Exit) {
	l.tell(g)
	e.Ready = p.proven && p.starts == which
	p.exits, p.starts, p.ended, p.ready = which, max(p.starts, which), at, false
	l.journal.Exited(p.instance(g.record.ID, which), e)
	if p.proven {
		p.proven = false
	}
	g.exited(at, p, e)
	if p.killed != "" {
		p.killed = ""
	}
}
