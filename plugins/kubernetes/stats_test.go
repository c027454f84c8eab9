package kubernetes

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

func measured(t *testing.T, at time.Time, cpu, memory string) *podMetrics {
	t.Helper()
	text, err := json.Marshal(map[string]any{"items": []any{map[string]any{
		"metadata": map[string]any{"name": "a"}, "timestamp": at.Format(time.RFC3339), "window": "15s",
		"containers": []any{
			map[string]any{"name": "sidecar", "usage": map[string]any{"cpu": "9", "memory": "1Gi"}},
			map[string]any{"name": "web", "usage": map[string]any{"cpu": cpu, "memory": memory}},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	m := new(podMetrics)
	if err := json.Unmarshal(text, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCPUTimeIsTheSumOfCores(t *testing.T) {
	var u usage
	seen := []sight{podOf("a", 1), podOf("nobody-measures", 0)}
	id := runtime.InstanceID{ID: web1, Replica: 1, Attempt: 1}
	for i, step := range []struct {
		after  time.Duration
		cores  string
		want   time.Duration
		memory string
		bytes  int64
	}{
		{0, "250m", 0, "10Mi", 10 << 20},
		{20 * time.Second, "500m", 10 * time.Second, "12Mi", 12 << 20},
		{20 * time.Second, "500m", 10 * time.Second, "12Mi", 12 << 20}, // nothing new
		{30 * time.Second, "100000000n", 11 * time.Second, "4096Ki", 4 << 20},
	} {
		stats := u.add(seen, measured(t, epoch.Add(step.after), step.cores, step.memory))
		if len(stats) != 1 || stats[0].Instance != id || stats[0].CPU != step.want || stats[0].Memory != step.bytes || stats[0].Read != -1 {
			t.Errorf("step %d: %+v", i, stats)
		}
	}
	if u.add(nil, measured(t, epoch, "1", "1")); len(u.spent) != 0 {
		t.Error("it remembers what is gone")
	}
}
