package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	backoff "k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// again is when a kind that cannot be followed is tried again: client-go's
// informers let up to a minute pass when an API server was away for one.
func again() *backoff.Backoff {
	return &backoff.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Cap: time.Second, Steps: math.MaxInt32, Jitter: 0.25}
}

// followed is what there is of a kind.
type followed[T any] interface {
	*T
	metav1.Object
	k8sruntime.Object
}

// lists is what every typed client of client-go has.
type lists[L k8sruntime.Object] interface {
	List(ctx context.Context, o metav1.ListOptions) (L, error)
	Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)
}

// feed takes what a reflector sees of a kind, trimmed, and passes it on. Its
// reflector alone calls it, one call at a time.
type feed[T any, P followed[T]] struct {
	set, gone func(*T)
	there     map[string]P // by name
	synced    func()       // called once all has been seen
}

// follow has a kind watched until the runtime ends.
func follow[T any, P followed[T], L k8sruntime.Object](o *observer, c lists[L], only metav1.ListOptions, set, gone func(*T)) {
	o.unseen.Add(1)
	f := &feed[T, P]{set: set, gone: gone, there: map[string]P{}, synced: o.seen}
	narrow := func(all metav1.ListOptions) metav1.ListOptions {
		all.LabelSelector, all.FieldSelector = only.LabelSelector, only.FieldSelector
		return all
	}
	source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, all metav1.ListOptions) (k8sruntime.Object, error) {
			list, err := c.List(ctx, narrow(all))
			o.failed(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, all metav1.ListOptions) (watch.Interface, error) {
			w, err := c.Watch(ctx, narrow(all))
			o.failed(err)
			return w, err
		},
	}, o.r.client)
	reflector := cache.NewReflectorWithOptions(source, P(new(T)), f, cache.ReflectorOptions{Backoff: again()})
	o.r.work.Go(func() { reflector.RunWithContext(o.r.ctx) }) // ends with the runtime
}

// failed notes why the cluster is not followed, and writes it once: it is tried
// every other second.
func (o *observer) failed(err error) {
	if err == nil || o.r.ctx.Err() != nil {
		return
	}
	before, _ := o.last.Swap(fmt.Errorf("%w", err)).(error)
	if before == nil || before.Error() != err.Error() {
		o.r.log.Warn("the cluster is not followed", "err", err)
	}
}

// Transformer implements cache.TransformingStore: a list that comes as a
// stream is trimmed one by one.
func (f *feed[T, P]) Transformer() cache.TransformFunc { return trim }

// Add implements cache.ReflectorStore.
func (f *feed[T, P]) Add(x any) error { return f.Update(x) }

// Update implements cache.ReflectorStore. What was made anew under the same
// name is another object. (Client-go's fake sends some before they have a UID.)
func (f *feed[T, P]) Update(x any) error {
	x, err := trim(x)
	if err != nil {
		return err
	}
	now, ok := x.(P)
	if !ok {
		return fmt.Errorf("an object of kind %T was sent", x)
	}
	if before := f.there[now.GetName()]; before != nil && before.GetUID() != "" && before.GetUID() != now.GetUID() {
		f.gone(before)
	}
	f.there[now.GetName()] = now
	f.set(now)
	return nil
}

// Delete implements cache.ReflectorStore.
func (f *feed[T, P]) Delete(x any) error {
	x, err := trim(x)
	if last, ok := x.(P); ok && err == nil {
		delete(f.there, last.GetName())
		f.gone(last)
	}
	return err
}

// Replace implements cache.ReflectorStore: this is what there is now. What went
// unseen is gone before anything takes its place, and the oldest come first.
func (f *feed[T, P]) Replace(list []any, _ string) error {
	alive := map[types.UID]bool{}
	for _, x := range list {
		if o, ok := x.(P); ok {
			alive[o.GetUID()] = true
		}
	}
	for name, o := range f.there {
		if !alive[o.GetUID()] {
			delete(f.there, name)
			f.gone(o)
		}
	}
	slices.SortFunc(list, func(a, b any) int {
		x, y := a.(metav1.Object), b.(metav1.Object)
		return cmp.Or(x.GetCreationTimestamp().Compare(y.GetCreationTimestamp().Time), cmp.Compare(x.GetName(), y.GetName()))
	})
	for _, x := range list {
		if err := f.Update(x); err != nil {
			return err
		}
	}
	f.synced()
	f.synced = func() {}
	return nil
}

// Resync implements cache.ReflectorStore; nobody asks for it.
func (f *feed[T, P]) Resync() error { return nil }
