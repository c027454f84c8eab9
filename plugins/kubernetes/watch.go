package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stead-dev/stead/runtime"
)

// Watch implements runtime.Runtime. While the cluster has not answered yet
// there is no present: after watchPatience without one it is Unavailable.
func (r *Runtime) Watch(ctx context.Context, fn func(runtime.Event) error) error {
	patient, cancel := context.WithTimeout(ctx, watchPatience)
	defer cancel()
	if err := r.cluster.wait(patient); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("watch: %w", err)
	}
	defer r.lease.watched()()
	watching, over := r.lease.while(ctx)
	defer over()
	err := r.journal.Watch(watching, fn)
	if cause := otherDriver(""); errors.As(context.Cause(watching), &cause) {
		return cause
	}
	return err
}

const watchPatience = 30 * time.Second

// observer follows the cluster, of one namespace and the labels of one project
// alone.
type observer struct {
	r         *Runtime
	endpoints *endpoints
	unseen    atomic.Int32  // kinds of which nothing was seen yet, and 1 until all are counted
	synced    chan struct{} // closed when all has been seen once
	last      atomic.Value  // error: why it is not followed
}

func observe(r *Runtime) *observer {
	o := &observer{r: r, endpoints: newEndpoints(), synced: make(chan struct{})}
	o.unseen.Add(1)
	ours, l := metav1.ListOptions{LabelSelector: r.ownership()}, r.ledger
	follow(o, r.client.AppsV1().Deployments(r.namespace), ours, l.deployment, func(d *appsv1.Deployment) { l.objectGone(d.Labels) })
	follow(o, r.client.BatchV1().Jobs(r.namespace), ours, l.job, func(j *batchv1.Job) { l.objectGone(j.Labels) })
	follow(o, r.client.CoreV1().Pods(r.namespace), ours, l.pod, l.podGone)
	follow(o, r.client.DiscoveryV1().EndpointSlices(r.namespace), ours, o.endpoints.set, o.endpoints.remove)
	lease := metav1.ListOptions{FieldSelector: "metadata.name=" + r.lease.name}
	follow(o, r.client.CoordinationV1().Leases(r.namespace), lease, r.lease.saw, r.lease.gone)
	warnings := metav1.ListOptions{FieldSelector: "type=" + corev1.EventTypeWarning}
	follow(o, r.client.CoreV1().Events(r.namespace), warnings, l.warned, func(*corev1.Event) {})
	o.seen()
	return o
}

// seen: one kind more of which all has been seen.
func (o *observer) seen() {
	if o.unseen.Add(-1) == 0 {
		close(o.synced)
	}
}

// known reports whether the present is.
func (o *observer) known() bool {
	select {
	case <-o.synced:
		return true
	default:
		return false
	}
}

// wait returns when the present is known.
func (o *observer) wait(ctx context.Context) error {
	if o.known() {
		return nil
	}
	select {
	case <-o.synced:
		return nil
	case <-o.r.ctx.Done():
		return fmt.Errorf("the runtime has ended: %w", runtime.Unavailable)
	case <-ctx.Done():
	}
	err, _ := o.last.Load().(error)
	if err == nil {
		err = errors.New("it does not answer")
	}
	return refuse(runtime.Unavailable, "kubectl cluster-info says whether it can be reached", "the cluster cannot be asked: %v", err)
}

// trim drops what nobody here reads. With hundreds of pods that is most of it.
func trim(x any) (any, error) {
	switch o := x.(type) {
	case *corev1.Pod:
		return trimPod(o), nil
	case *appsv1.Deployment:
		o.ObjectMeta = trimMeta(&o.ObjectMeta)
		o.Spec = appsv1.DeploymentSpec{Replicas: o.Spec.Replicas}
		o.Status = appsv1.DeploymentStatus{Conditions: o.Status.Conditions}
	case *batchv1.Job:
		o.ObjectMeta = trimMeta(&o.ObjectMeta)
		o.Spec = batchv1.JobSpec{Completions: o.Spec.Completions}
		o.Status = batchv1.JobStatus{}
	case *corev1.Event:
		o.ObjectMeta = metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace, UID: o.UID, ResourceVersion: o.ResourceVersion}
		o.Source, o.Related = corev1.EventSource{}, nil
	case *discoveryv1.EndpointSlice:
		o.ObjectMeta = metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace, UID: o.UID, ResourceVersion: o.ResourceVersion}
	}
	return x, nil
}

func trimMeta(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion, Labels: m.Labels, Annotations: m.Annotations,
		CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp, DeletionGracePeriodSeconds: m.DeletionGracePeriodSeconds,
	}
}

func trimPod(o *corev1.Pod) *corev1.Pod {
	kept := &corev1.Pod{ObjectMeta: trimMeta(&o.ObjectMeta)}
	for _, c := range o.Spec.Containers {
		kept.Spec.Containers = append(kept.Spec.Containers, corev1.Container{Name: c.Name})
	}
	kept.Spec.NodeName = o.Spec.NodeName
	kept.Status = corev1.PodStatus{
		Phase: o.Status.Phase, Reason: o.Status.Reason, Message: o.Status.Message, PodIP: o.Status.PodIP,
		Conditions: o.Status.Conditions, ContainerStatuses: o.Status.ContainerStatuses,
	}
	return kept
}

// endpoints are the pods that Services route to, by EndpointSlice.
type endpoints struct {
	mu     sync.Mutex
	slices map[types.UID]map[types.UID]bool // slice -> pods
	change chan struct{}                    // closed, and made anew, by each change
}

func newEndpoints() *endpoints {
	return &endpoints{slices: map[types.UID]map[types.UID]bool{}, change: make(chan struct{})}
}

func (e *endpoints) set(s *discoveryv1.EndpointSlice) {
	pods := map[types.UID]bool{}
	for _, one := range s.Endpoints {
		if one.TargetRef != nil && (one.Conditions.Ready == nil || *one.Conditions.Ready) {
			pods[one.TargetRef.UID] = true
		}
	}
	e.put(s.UID, pods)
}

func (e *endpoints) remove(s *discoveryv1.EndpointSlice) { e.put(s.UID, nil) }

func (e *endpoints) put(slice types.UID, pods map[types.UID]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.slices[slice] = pods; pods == nil {
		delete(e.slices, slice)
	}
	close(e.change)
	e.change = make(chan struct{})
}

// changed is closed by the next change.
func (e *endpoints) changed() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.change
}

// any reports whether one of the pods is an endpoint.
func (e *endpoints) any(pods map[types.UID]bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, in := range e.slices {
		for uid := range in {
			if pods[uid] {
				return true
			}
		}
	}
	return false
}
