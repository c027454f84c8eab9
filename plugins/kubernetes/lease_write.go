package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/stead-dev/stead/runtime"
)

// Lead implements runtime.Leader.
func (r *Runtime) Lead(ctx context.Context, over bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := r.cluster.wait(ctx); err != nil {
		return fmt.Errorf("drive %s: %w", r.project, err)
	}
	return r.lease.take(ctx, over)
}

// to is the access to objects of a kind for who means to write: each write is
// made only while the lease is held.
func (r *Runtime) to(kind string) access {
	free := accessFor(r.client, r.namespace, kind)
	fenced := free
	fenced.patch = func(ctx context.Context, name string, how types.PatchType, body []byte, o metav1.PatchOptions) (metav1.Object, error) {
		if err := r.lease.hold(ctx); err != nil {
			return nil, err
		}
		return free.patch(ctx, name, how, body, o)
	}
	fenced.remove = func(ctx context.Context, name string, o metav1.DeleteOptions) error {
		if err := r.lease.hold(ctx); err != nil {
			return err
		}
		return free.remove(ctx, name, o)
	}
	return fenced
}

// hold returns nil when this runtime may write, and takes the lease for that
// where nobody has it.
func (l *lease) hold(ctx context.Context) error {
	if l.held() {
		return nil
	}
	return l.take(ctx, false)
}

// leaseTries bounds how often a write that somebody else came before is tried.
const leaseTries = 5

// take makes this runtime the holder. From another who lives it takes the
// lease only when told to.
func (l *lease) take(ctx context.Context, over bool) error {
	if err := l.alone(ctx); err != nil {
		return err
	}
	defer func() { <-l.writing }()
	err := errors.New("others write it all the time")
	for try := 0; try < leaseTries && !l.held(); try++ {
		if err = l.refresh(ctx); err != nil {
			return err
		}
		if refused := l.refused(); refused != nil && !over {
			if !l.stale() || !l.awaitNews(ctx) {
				return refused
			}
			continue
		}
		if err = l.write(ctx, l.identity); err == nil {
			break
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return l.r.explain(err, "take Lease %s", l.name)
		}
	}
	if !l.held() {
		return l.r.explain(err, "take Lease %s", l.name)
	}
	return nil
}

// alone waits for its turn to write the Lease.
func (l *lease) alone(ctx context.Context) error {
	if l.r.ctx.Err() != nil {
		return fmt.Errorf("the runtime has ended: %w", runtime.Unavailable)
	}
	select {
	case l.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("take Lease %s: %w: %w", l.name, ctx.Err(), runtime.Unavailable)
	}
}

// refresh asks for the Lease: the informer may be behind.
func (l *lease) refresh(ctx context.Context) error {
	there, err := l.r.client.CoordinationV1().Leases(l.r.namespace).Get(ctx, l.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		l.mu.Lock()
		l.seen, l.until = nil, time.Time{}
		l.mu.Unlock()
		return l.r.ensureNamespace(ctx)
	case err != nil:
		return l.r.explain(err, "look for Lease %s", l.name)
	}
	l.saw(there)
	return nil
}

// stale reports whether the Lease looks as though its holder were dead, by a
// clock that may be wrong: it is worth a wait.
func (l *lease) stale() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen != nil && (l.seen.Spec.RenewTime == nil || l.r.now().Sub(l.seen.Spec.RenewTime.Time) > leaseTime)
}

// awaitNews returns true as soon as the Lease has another state, which may be
// that nobody holds it since its holder is dead.
func (l *lease) awaitNews(ctx context.Context) bool {
	l.mu.Lock()
	before, dead := l.changed, l.changed.Add(leaseTime)
	l.mu.Unlock()
	for l.r.now().Before(dead) {
		if !l.r.pause(ctx, 200*time.Millisecond) {
			return false
		}
		l.mu.Lock()
		other := !l.changed.Equal(before)
		l.mu.Unlock()
		if other {
			return true
		}
	}
	l.look()
	return true
}

// write makes holder the holder, on top of what was seen last: whoever was
// quicker makes it a conflict.
func (l *lease) write(ctx context.Context, holder string) error {
	l.mu.Lock()
	now := l.r.now().Round(0)
	next, leases := l.next(holder, now), l.r.client.CoordinationV1().Leases(l.r.namespace)
	first := l.seen == nil
	l.mu.Unlock()
	var made *coordinationv1.Lease
	var err error
	if first {
		made, err = leases.Create(ctx, next, metav1.CreateOptions{FieldManager: manager})
	} else {
		made, err = leases.Update(ctx, next, metav1.UpdateOptions{FieldManager: manager})
	}
	if err != nil {
		return err
	}
	if holder != "" {
		l.mu.Lock()
		l.until = now.Add(fenceTime) // from before it was asked
		l.mu.Unlock()
	}
	l.saw(made)
	return nil
}

// next is the Lease as it is to be. The caller holds mu.
func (l *lease) next(holder string, now time.Time) *coordinationv1.Lease {
	next := &coordinationv1.Lease{}
	if l.seen != nil {
		next = l.seen.DeepCopy()
	}
	before := holderOf(l.seen)
	next.Name, next.Namespace = l.name, l.r.namespace
	next.Labels = map[string]string{labelManagedBy: manager, labelProject: labelValue(l.r.project)}
	spec := &next.Spec
	spec.LeaseDurationSeconds, spec.RenewTime = ptr.To(int32(leaseTime/time.Second)), ptr.To(metav1.NewMicroTime(now))
	switch {
	case holder == "":
		spec.HolderIdentity, spec.AcquireTime = nil, nil
		next.Annotations = map[string]string{annotationLast: before}
	case holder != before:
		spec.HolderIdentity, spec.AcquireTime = &holder, ptr.To(metav1.NewMicroTime(now))
		spec.LeaseTransitions = ptr.To(ptr.Deref(spec.LeaseTransitions, 0) + 1)
		next.Annotations = nil
	}
	return next
}

// run keeps the lease while it is of use. It ends with the runtime.
func (l *lease) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-l.r.ctx.Done():
			l.release()
			return
		case <-l.poke:
		case <-timer.C:
			l.look() // who was silent for too long is dead
		}
		timer.Reset(l.attend())
	}
}

// attend renews what is due, and returns when to look again.
func (l *lease) attend() time.Duration {
	l.mu.Lock()
	now := l.r.now()
	ours := holderOf(l.seen) == l.identity
	due := l.until.Add(renewTime - fenceTime).Sub(now.Round(0))
	unused := l.watchers == 0 && now.Sub(l.used) > unusedTime
	dead := l.changed.Add(leaseTime + time.Millisecond).Sub(now)
	l.mu.Unlock()
	switch {
	case !ours:
		if dead <= 0 {
			return time.Hour // nothing changes by itself any more
		}
		return dead
	case unused:
		l.release()
		return leaseTime
	case due > 0:
		return min(due, time.Second)
	}
	ctx, cancel := context.WithTimeout(l.r.ctx, renewTime)
	defer cancel()
	if err := l.renew(ctx); err != nil && l.r.ctx.Err() == nil {
		l.r.log.Warn("the lease is not renewed", "lease", l.name, "err", err)
	}
	return time.Second
}

// ours reports whether the Lease was ours when it was last seen.
func (l *lease) ours() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return holderOf(l.seen) == l.identity
}

func (l *lease) renew(ctx context.Context) error {
	if err := l.alone(ctx); err != nil {
		return err
	}
	defer func() { <-l.writing }()
	if !l.ours() {
		return nil
	}
	err := l.write(ctx, l.identity)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return l.refresh(ctx)
	}
	return err
}

// release lets go of the lease, so that nobody has to wait for it to expire.
func (l *lease) release() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.r.ctx), 2*time.Second)
	defer cancel()
	select {
	case l.writing <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-l.writing }()
	l.mu.Lock()
	ours := holderOf(l.seen) == l.identity
	l.until = time.Time{}
	l.mu.Unlock()
	if !ours {
		return
	}
	if err := l.write(ctx, ""); err != nil && !apierrors.IsNotFound(err) {
		l.r.log.Warn("the lease is not released", "lease", l.name, "err", err)
	}
}

// remove takes the Lease away, with the last thing that it stood for.
func (l *lease) remove(ctx context.Context) error {
	if err := l.alone(ctx); err != nil {
		return err
	}
	defer func() { <-l.writing }()
	if !l.ours() {
		return nil
	}
	err := l.r.client.CoordinationV1().Leases(l.r.namespace).Delete(ctx, l.name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return l.r.explain(err, "remove Lease %s", l.name)
	}
	l.mu.Lock()
	l.seen, l.until = nil, time.Time{}
	l.mu.Unlock()
	return nil
}
