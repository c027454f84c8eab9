package process

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// statsInterval is the shortest: the kernel counts CPU in hundredths of a
// second, and each measurement is some ten system calls per process.
const statsInterval = 100 * time.Millisecond

// Stats implements runtime.Runtime. It measures in the caller's goroutine, and
// nothing while there is no caller.
func (r *Runtime) Stats(ctx context.Context, interval time.Duration, fn func([]runtime.Stat) error) error {
	if !measures {
		return fmt.Errorf("stats: not on this system: %w", runtime.Unsupported)
	}
	ticker := time.NewTicker(max(interval, statsInterval))
	defer ticker.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(r.measure()); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.done:
			return fmt.Errorf("stats: the runtime has ended: %w", runtime.Unavailable)
		}
	}
}

// Preview implements runtime.Runtime: there is nothing between a spec and its
// processes that could be shown.
func (r *Runtime) Preview(context.Context, runtime.PreviewRequest) ([]runtime.Preview, error) {
	err := fmt.Errorf("preview: processes are made of no objects: %w", runtime.Unsupported)
	return nil, runtime.WithHint(err, "name an environment that runs on a cluster: --env NAME")
}

// measure returns what every live instance has used so far, in their order.
func (r *Runtime) measure() []runtime.Stat {
	now := r.now()
	live := r.allLive()
	used := r.children.usage(live)
	stats := make([]runtime.Stat, 0, len(live))
	for i, in := range live {
		one := used[i]
		one.Instance, one.Time = in.id, now
		stats = append(stats, one)
	}
	r.usage.raise(stats)
	return stats
}

func (r *Runtime) allLive() []*instance {
	r.mu.Lock()
	keepers := slices.Collect(maps.Values(r.keepers))
	r.mu.Unlock()
	slices.SortFunc(keepers, func(a, b *keeper) int {
		x, y := a.spec.ID, b.spec.ID
		return cmp.Or(cmp.Compare(x.Project, y.Project), cmp.Compare(x.Service, y.Service), cmp.Compare(x.Number, y.Number))
	})
	var live []*instance
	for _, k := range keepers {
		live = append(live, k.screens.all()...)
	}
	return live
}

// usage remembers the highest counters that were told of each instance. What
// is summed over processes falls when one ends that nobody of its tree waited
// for; counters that are told do not.
type usage struct {
	mu   sync.Mutex
	most map[runtime.InstanceID]runtime.Stat
}

// raise lifts counters to what was told before, and forgets instances that
// are not among stats.
func (u *usage) raise(stats []runtime.Stat) {
	u.mu.Lock()
	defer u.mu.Unlock()
	next := make(map[runtime.InstanceID]runtime.Stat, len(stats))
	for i := range stats {
		one := &stats[i]
		if old, ok := u.most[one.Instance]; ok {
			one.CPU = max(one.CPU, old.CPU)
			one.Read, one.Written = max(one.Read, old.Read), max(one.Written, old.Written)
		}
		next[one.Instance] = *one
	}
	u.most = next
}
