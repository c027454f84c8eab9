package kubernetes

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stead-dev/stead/runtime"
)

// sight is one pod as the runtime follows it.
type sight struct {
	pod     *corev1.Pod // read only
	id      runtime.ID
	replica int
	earlier int  // attempts of this replica by pods before this one
	tty     bool // the service has a terminal
}

// pods is what logs, terminals and connections ask of those who follow the
// cluster.
type pods interface {
	// look returns the pods of a generation, or with Number 0 of all
	// generations of a service, or with no Service of all, oldest first, and whether that is known at
	// all. changed is closed when any of that is no longer so.
	look(id runtime.ID) (seen []sight, known bool, changed <-chan struct{})

	// writers is look for those who write into the log of a service.
	writers(id runtime.ID) (seen []sight, known bool, changed <-chan struct{})

	// routed returns the number of the generation that a service's callers
	// reach, 0 for none.
	routed(ctx context.Context, service runtime.ID) (uint64, error)

	// port returns where the containers of a generation have a port.
	port(id runtime.ID, name string) (int32, bool)
}

// capabilities beside those of keeping generations.
func (r *Runtime) capabilities() []string {
	all := []string{runtime.CapabilityRoute, runtime.CapabilityPreview}
	if r.config != nil {
		all = append(all, runtime.CapabilityTerminal, runtime.CapabilityConnect, runtime.CapabilityTrouble)
	}
	if r.metrics.Load() {
		all = append(all, runtime.CapabilityStats)
	}
	return all
}

func (r *Runtime) pods() pods { return podsOfRuntime{r} }

// podsOfRuntime are those that the ledger knows.
type podsOfRuntime struct{ r *Runtime }

func (p podsOfRuntime) look(id runtime.ID) ([]sight, bool, <-chan struct{}) {
	return p.r.ledger.sights(func(r record) bool {
		return (id.Service == "" || r.ID.Service == id.Service) && (id.Number == 0 || r.ID.Number == id.Number)
	})
}

func (p podsOfRuntime) writers(id runtime.ID) ([]sight, bool, <-chan struct{}) {
	return p.r.ledger.sights(func(r record) bool {
		return cmp.Or(r.Log, r.ID.Service) == id.Service && (id.Number == 0 || r.ID.Number == id.Number)
	})
}

func (p podsOfRuntime) port(id runtime.ID, name string) (int32, bool) {
	known, _ := p.r.ledger.record(id)
	for _, one := range known.Ports {
		if one.Name == name {
			return one.Container, true
		}
	}
	return 0, false
}

// routed asks the Service itself: whoever is in charge of the project may
// have moved it.
func (p podsOfRuntime) routed(ctx context.Context, id runtime.ID) (uint64, error) {
	service, err := p.r.client.CoreV1().Services(p.r.namespace).Get(ctx, ObjectName(id.Service), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, p.r.explain(err, "look for Service %s", ObjectName(id.Service))
	}
	number, _ := strconv.ParseUint(service.Spec.Selector[labelGeneration], 10, 64)
	return number, nil
}

// sights are the pods of the generations that are wanted, oldest first, and
// whether there are such. changed is closed by the next change.
func (l *ledger) sights(wanted func(record) bool) (seen []sight, known bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.generations {
		if !g.known || !wanted(g.record) {
			continue
		}
		known = true
		for _, p := range g.pods {
			if p.replica >= 0 {
				seen = append(seen, sight{pod: p.status, id: g.record.ID, replica: p.replica, earlier: p.base, tty: g.record.Terminal})
			}
		}
	}
	slices.SortFunc(seen, func(a, b sight) int {
		return cmp.Or(a.pod.CreationTimestamp.Compare(b.pod.CreationTimestamp.Time), cmp.Compare(a.pod.Name, b.pod.Name))
	})
	return seen, known, l.changed
}

// run is one run of the container that is the service: an attempt.
type run struct {
	container string // its ID, by which it is known again
	instance  runtime.InstanceID
	previous  bool // its log is asked for as that of the previous one
	live      bool
	ended     int64 // seconds since 1970; 0: not known
}

// name is that of the container that is the service. Others were put beside it
// by a patch or by the cluster.
func (s sight) name() string { return ObjectName(s.id.Service) }

func (s sight) container() (corev1.ContainerStatus, bool) {
	for _, c := range s.pod.Status.ContainerStatuses {
		if c.Name == s.name() {
			return c, true
		}
	}
	return corev1.ContainerStatus{}, false
}

// runs returns those whose logs the kubelet still has, oldest first. Which of
// them it hands out as the current one depends on the container's state
// (validateContainerLogStatus of the kubelet): while it waits to be started
// again, the one that ended last.
func (s sight) runs() []run {
	c, ok := s.container()
	if !ok {
		return nil
	}
	var all []run
	add := func(id string, restarts int32, r run) {
		if id == "" {
			return
		}
		r.container = id
		r.instance = runtime.InstanceID{ID: s.id, Replica: s.replica, Attempt: s.earlier + int(restarts) + 1}
		all = append(all, r)
	}
	last := c.LastTerminationState.Terminated
	if last != nil && c.State.Waiting == nil {
		add(last.ContainerID, c.RestartCount-1, run{previous: true, ended: last.FinishedAt.Unix()})
	}
	switch {
	case c.State.Running != nil:
		add(c.ContainerID, c.RestartCount, run{live: true})
	case c.State.Terminated != nil:
		add(c.State.Terminated.ContainerID, c.RestartCount, run{ended: c.State.Terminated.FinishedAt.Unix()})
	case last != nil && c.ContainerID != "" && c.ContainerID != last.ContainerID: // the next one never began
		add(last.ContainerID, c.RestartCount-1, run{ended: last.FinishedAt.Unix()})
	case last != nil:
		add(last.ContainerID, c.RestartCount, run{ended: last.FinishedAt.Unix()})
	}
	return all
}

// attempt is the number of the run that there is now, or will be.
func (s sight) attempt() int {
	c, _ := s.container()
	return s.earlier + int(c.RestartCount) + 1
}

func (s sight) running() bool {
	c, ok := s.container()
	return ok && c.State.Running != nil && s.pod.DeletionTimestamp == nil
}

// ready is as the cluster sees it; a pod that is on its way out is not.
func (s sight) ready() bool {
	if s.pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range s.pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// find returns the pod with this UID.
func find(seen []sight, like sight) (sight, bool) {
	for _, s := range seen {
		if s.pod.UID == like.pod.UID {
			return s, true
		}
	}
	return sight{}, false
}

// wait returns false when ctx ends before changed.
func wait(ctx context.Context, changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	}
}
