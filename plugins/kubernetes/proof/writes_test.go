package proof

import (
	"maps"
	"testing"
	"time"
)

// TestKubernetesWrites counts by the API server's audit log: one write for each
// object and change; none by a successor, and none by looking again.
func TestKubernetesWrites(t *testing.T) {
	s := onControl(t)
	p := s.open(t)
	first := s.spec("web", 2)
	p.start(first)
	p.awaitReady(first)
	p.route(first.ID)
	second := next(first)
	second.Environment = map[string]string{"COLOUR": "green", "TOKEN": "s3cret"}
	p.swap(first, second)
	want := map[string]int{
		"patch deployments web-1": 1, "patch deployments web-2": 1, "delete deployments web-1": 1, "patch services web": 2,
	}
	got := s.writes(t)
	for what, n := range got {
		if _, listed := want[what]; !listed && n > 2 { // ConfigMaps and Secrets: made, and given a second owner
			t.Errorf("%s: %d times", what, n)
		}
	}
	for what, n := range want {
		if got[what] != n {
			t.Errorf("%s: %d times, want %d", what, got[what], n)
		}
	}
	t.Logf("start, route, swap: %v", got)

	p.rt.Close()
	p = s.open(t)
	p.awaitReady(second)
	p.start(second)
	p.route(second.ID)
	s.gate.cut()
	s.gate.obey(gone(2))
	eventuallyWatched(t, s)
	p.start(second)
	p.route(second.ID)
	if after := s.writes(t); !maps.Equal(after, got) {
		t.Errorf("a successor and a resync wrote: %v", after)
	}
	time.Sleep(time.Second) // nothing comes later either
	if after := s.writes(t); !maps.Equal(after, got) {
		t.Errorf("a second later: %v", after)
	}
}
