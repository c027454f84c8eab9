package kubernetes

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stead-dev/stead/runtime"
)

// callTime is how long a call takes that the cluster does not answer.
const callTime = 30 * time.Second

// Start implements runtime.Runtime. A spec with a Package is accepted at once;
// its image is made, and its objects written, when Start has returned.
func (r *Runtime) Start(ctx context.Context, spec runtime.Spec) (runtime.Handle, error) {
	if err := r.validate(&spec); err != nil {
		return runtime.Handle{}, fmt.Errorf("start %s: %w", spec.ID.Label(), err)
	}
	p, err := newPlan(spec, spec.Image)
	if err == nil {
		_, err = p.objects()
	}
	if err != nil {
		return runtime.Handle{}, fmt.Errorf("start %s: %w", spec.ID.Label(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := r.cluster.wait(ctx); err != nil {
		return runtime.Handle{}, fmt.Errorf("start %s: %w", spec.ID.Label(), err)
	}
	if err := r.lease.hold(ctx); err != nil {
		return runtime.Handle{}, fmt.Errorf("start %s: %w", spec.ID.Label(), err)
	}
	if hash, whole := r.ledger.hash(spec.ID); whole || hash != "" && hash != p.hash {
		return handle(spec.ID), sameHash(spec.ID, hash, p.hash)
	}
	if err := r.accept(ctx, p); err != nil {
		return runtime.Handle{}, fmt.Errorf("start %s: %w", spec.ID.Label(), err)
	}
	return handle(spec.ID), nil
}

// accept begins what Start has found in order.
func (r *Runtime) accept(ctx context.Context, p *plan) error {
	r.mu.Lock()
	if r.closing {
		r.mu.Unlock()
		return fmt.Errorf("the runtime is shutting down: %w", runtime.Unavailable)
	}
	r.work.Add(1) // under the lock: Close waits for it
	r.mu.Unlock()
	there, err := r.generationObject(ctx, p.spec.ID)
	if err == nil && there != nil {
		err = sameHash(p.spec.ID, there.GetAnnotations()[annotationHash], p.hash)
	}
	if err != nil || there != nil || p.spec.Package == nil { // what is there has its image
		defer r.work.Done()
		if err == nil {
			err = r.prepare(ctx, p)
		}
		if err == nil {
			err = r.put(ctx, p)
		}
		if err == nil {
			r.ledger.begin(p.record(), p.hash, p.replicas, nil)
		}
		return err
	}
	packing, cancel := context.WithCancel(r.ctx)
	if !r.ledger.begin(p.record(), p.hash, p.replicas, cancel) {
		cancel()
		r.work.Done()
		return nil // another call of Start was quicker
	}
	go func() { // ends with the objects written, by Stop, or by Close
		defer r.work.Done()
		defer cancel()
		r.pack(packing, p)
	}()
	return nil
}

// pack makes the image, and beside that what pods need besides it, and then
// what runs it. As long as the cluster is away it tries again.
func (r *Runtime) pack(ctx context.Context, p *plan) {
	given := p.spec
	given.Command = p.command
	reference := ""
	g, both := errgroup.WithContext(ctx) // one that cannot be done ends the other
	g.Go(func() error { return r.persevere(both, p, r.prepare) })
	g.Go(func() (err error) {
		reference, err = r.options.Packer.Pack(both, given)
		return err
	})
	err := g.Wait()
	if err == nil {
		p.image = reference
		err = r.persevere(ctx, p, r.put)
	}
	r.ledger.packed(p.spec.ID, err)
}

// persevere does one step of a plan, again and again while the cluster is away.
func (r *Runtime) persevere(ctx context.Context, p *plan, step func(context.Context, *plan) error) error {
	told := false
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := step(ctx, p)
		if told && err == nil {
			r.ledger.troubled(p.spec.ID, "")
		}
		if runtime.Class(err) != runtime.Unavailable || !r.pause(ctx, wait) {
			return err
		}
		r.ledger.troubled(p.spec.ID, err.Error())
		told = true
	}
}

// pause reports whether the time has passed without ctx ending.
func (r *Runtime) pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// liveReplicas is with how many a generation begins: as many as the routed one
// has now, if somebody, or an autoscaler, has wished for another number than
// that began with.
func (r *Runtime) liveReplicas(ctx context.Context, p *plan) int32 {
	if p.job {
		return p.replicas
	}
	routed, err := r.routed(ctx, p.spec.ID)
	if err != nil || routed == 0 {
		return p.replicas
	}
	before := p.spec.ID
	before.Number = routed
	d, err := r.client.AppsV1().Deployments(r.namespace).Get(ctx, generationName(before), metav1.GetOptions{})
	if err != nil || d.Spec.Replicas == nil || *d.Spec.Replicas == 0 {
		return p.replicas
	}
	if d.Annotations[annotationReplicas] == strconv.Itoa(int(*d.Spec.Replicas)) {
		return p.replicas
	}
	return *d.Spec.Replicas
}

// routed is the number of the generation that a service's Service selects; 0:
// there is none.
func (r *Runtime) routed(ctx context.Context, id runtime.ID) (uint64, error) {
	s, err := persist(ctx, func() (*corev1.Service, error) {
		return r.client.CoreV1().Services(r.namespace).Get(ctx, ObjectName(id.Service), metav1.GetOptions{})
	})
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, r.explain(err, "look for Service %s", ObjectName(id.Service))
	}
	n, err := strconv.ParseUint(s.Spec.Selector[labelGeneration], 10, 64)
	if err != nil {
		return 0, nil // somebody else's: whoever routes is told so
	}
	return n, nil
}

// handle is what the daemon keeps of a generation: its ID says all.
func handle(id runtime.ID) runtime.Handle {
	return runtime.Handle{Version: 1, Data: []byte(id.String())}
}
