package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stead-dev/stead/runtime"
)

// statsInterval is the shortest: who serves the metrics API measures every 15 s
// by default, so more often there is nothing new.
const statsInterval = 5 * time.Second

// metricsPath is the metrics API, which is an add-on (metrics-server serves it).
const metricsPath = "/apis/metrics.k8s.io/v1beta1"

// Stats implements runtime.Runtime by the metrics API. That tells how many
// cores are in use; the CPU time of a Stat is their sum over time, from the
// first measurement on that anybody asked for.
func (r *Runtime) Stats(ctx context.Context, interval time.Duration, fn func([]runtime.Stat) error) error {
	ticker := time.NewTicker(max(interval, statsInterval))
	defer ticker.Stop()
	for {
		metrics, err := r.podMetrics(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("stats: %w", err)
		}
		seen, _, _ := r.pods().look(runtime.ID{})
		if err := fn(r.usage.add(seen, metrics)); err != nil {
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

// podMetrics is PodMetricsList of k8s.io/metrics, as far as it is read here.
type podMetrics struct {
	Items []struct {
		Metadata   struct{ Name string }
		Timestamp  time.Time
		Containers []struct {
			Name  string
			Usage struct{ CPU, Memory resource.Quantity }
		}
	}
}

func (r *Runtime) podMetrics(ctx context.Context) (*podMetrics, error) {
	ours := labels.SelectorFromSet(labels.Set{labelManagedBy: manager, labelProject: labelValue(r.project)})
	text, err := r.client.Discovery().RESTClient().Get().AbsPath(metricsPath, "namespaces", r.namespace, "pods").
		Param("labelSelector", ours.String()).Do(ctx).Raw()
	if apierrors.IsNotFound(err) {
		err = fmt.Errorf("the cluster has no metrics API: %w", runtime.Unsupported)
		return nil, runtime.WithHint(err, "install metrics-server in it")
	}
	if err != nil {
		return nil, classed(err)
	}
	metrics := new(podMetrics)
	if err := json.Unmarshal(text, metrics); err != nil {
		return nil, fmt.Errorf("the metrics API answers what is none: %w", err)
	}
	return metrics, nil
}

// lookForMetrics asks once, when the cluster has answered, whether there is a
// metrics API: Describe asks nobody.
func (r *Runtime) lookForMetrics() {
	select {
	case <-r.cluster.synced:
	case <-r.ctx.Done():
		return
	}
	rest := r.client.Discovery().RESTClient()
	if rest == nil { // of a fake
		return
	}
	if err := rest.Get().AbsPath(metricsPath).Do(r.ctx).Error(); err == nil {
		r.metrics.Store(true)
	}
}

// usage adds up what the metrics API says.
type usage struct {
	mu    sync.Mutex
	spent map[runtime.InstanceID]spending
}

// spending is that of one instance. Between two measurements it is taken to
// use as much as at the second.
type spending struct {
	cpu  time.Duration
	from time.Time
}

// add returns what instances have used, of whom metrics knows, and forgets the
// others.
func (u *usage) add(seen []sight, metrics *podMetrics) []runtime.Stat {
	u.mu.Lock()
	defer u.mu.Unlock()
	byName := map[string]int{}
	for i, m := range metrics.Items {
		byName[m.Metadata.Name] = i
	}
	next := map[runtime.InstanceID]spending{}
	var stats []runtime.Stat
	for _, s := range seen {
		i, ok := byName[s.pod.Name]
		if !ok || !s.running() {
			continue
		}
		m := metrics.Items[i]
		id := runtime.InstanceID{ID: s.id, Replica: s.replica, Attempt: s.attempt()}
		for _, c := range m.Containers {
			if c.Name != s.name() {
				continue
			}
			now := u.spent[id]
			if passed := m.Timestamp.Sub(now.from); !now.from.IsZero() && passed > 0 {
				now.cpu += time.Duration(c.Usage.CPU.AsApproximateFloat64() * float64(passed))
			}
			now.from = m.Timestamp
			next[id] = now
			stats = append(stats, runtime.Stat{
				Instance: id, Time: m.Timestamp, CPU: now.cpu, Memory: c.Usage.Memory.Value(), Read: -1, Written: -1,
			})
		}
	}
	u.spent = next
	return stats
}
