package fake

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// minInterval is what the contract's "ten times a second" comes to.
const minInterval = 100 * time.Millisecond

// Stats implements runtime.Runtime: Act.Usage of all live instances.
func (r *Runtime) Stats(ctx context.Context, interval time.Duration, fn func([]runtime.Stat) error) error {
	ticker := time.NewTicker(max(interval, minInterval))
	defer ticker.Stop()
	for {
		stats, err := r.measure(ctx)
		if err == nil {
			err = fn(stats)
		}
		if err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Measurements returns how often instances were measured so far.
func (r *Runtime) Measurements() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.measured
}

func (r *Runtime) measure(ctx context.Context) ([]runtime.Stat, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.shut {
		return nil, fmt.Errorf("the runtime was shut down: %w", runtime.Unavailable)
	}
	r.measured++
	now, stats := time.Now(), []runtime.Stat(nil)
	for _, g := range r.generations {
		for i, rep := range g.replicas {
			if !rep.live {
				continue
			}
			age := now.Sub(rep.started.Time)
			one := runtime.Stat{CPU: age, Memory: 1 << 20, Read: -1, Written: -1, PIDs: 1}
			if rep.act.Usage != nil {
				one = rep.act.Usage(age)
			}
			one.Instance, one.Time = g.instance(i), now
			stats = append(stats, one)
		}
	}
	slices.SortFunc(stats, func(a, b runtime.Stat) int { return cmp.Compare(a.Instance.String(), b.Instance.String()) })
	return stats, nil
}

// Preview implements runtime.Runtime by Options.Preview.
func (r *Runtime) Preview(ctx context.Context, req runtime.PreviewRequest) ([]runtime.Preview, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.options.Preview == nil {
		return nil, fmt.Errorf("preview: this runtime has nothing to show: %w", runtime.Unsupported)
	}
	return r.options.Preview(req)
}
