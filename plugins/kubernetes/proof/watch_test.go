package proof

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// gone answers the next n watches 410: list anew.
func gone(n int32) rule {
	left := atomic.Int32{}
	left.Store(n)
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !isWatch(r) || left.Add(-1) < 0 {
			return false
		}
		answer(w, http.StatusGone, "Expired", "too old resource version")
		return true
	}
}

// kindsWatched: Deployments, Jobs, pods, EndpointSlices, warnings, the Lease.
const kindsWatched = 6

// eventuallyWatched waits until every kind is followed anew.
func eventuallyWatched(t *testing.T, s *scene) {
	t.Helper()
	eventually(t, "all is followed again", func(context.Context) bool {
		s.gate.mu.Lock()
		defer s.gate.mu.Unlock()
		return len(s.gate.watches) == kindsWatched
	})
}

// TestKubernetesWatchesAreCut ends containers while nobody is told: each exit
// comes once, with its code, in whatever way the watches begin anew.
func TestKubernetesWatchesAreCut(t *testing.T) {
	s := onControl(t)
	p := s.open(t)
	spec := s.spec("web", 3)
	p.start(spec)
	p.awaitReady(spec)
	blind := func(w http.ResponseWriter, r *http.Request) bool {
		if isWatch(r) || r.Method == http.MethodGet {
			answer(w, http.StatusInternalServerError, "InternalError", "etcdserver: leader changed")
			return true
		}
		return false
	}
	for round, again := range []rule{nil, gone(6), nil, gone(6)} {
		s.gate.obey(blind)
		s.gate.cut()
		list, err := s.admin.CoreV1().Pods(s.namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != 3 {
			t.Fatalf("%d pods, %v", len(list.Items), err)
		}
		for i := range list.Items {
			if err := s.kubelet.exit(t.Context(), &list.Items[i], int32(10+round)); err != nil {
				t.Fatal(err)
			}
		}
		s.gate.obey(again)
		p.await("every exit is told", func() bool { return len(p.exits) == 3*(round+1) && p.readyOf(spec.ID) == 3 })
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for instance, exits := range p.exits {
		if len(exits) != 1 || exits[0].Code != 9+instance.Attempt || exits[0].Lost {
			t.Errorf("%v: %+v", instance, exits)
		}
	}
	for instance := range p.ready {
		if instance.Attempt != 5 {
			t.Errorf("%v is ready, want attempt 5", instance)
		}
	}
	if got := p.generations[spec.ID]; got.Restarts != 12 || got.Phase.Final() {
		t.Errorf("%+v", got)
	}
}
