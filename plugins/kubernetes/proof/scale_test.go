package proof

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stead-dev/stead/runtime"
)

// How much there is of everything.
const (
	manyServices = 200
	manyReplicas = 3
)

// TestKubernetesManyServices prints what 200 services cost the runtime's
// process, and how long it takes to have seen all anew after the API server was
// away. Budgets are not asserted: machines differ. Writes are.
func TestKubernetesManyServices(t *testing.T) {
	s := onControl(t)
	rt := s.process(t, shortDir(t))
	defer kill(t, rt)
	began := time.Now()
	var mu sync.Mutex
	ready, up := map[runtime.InstanceID]bool{}, make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() { // ends with ctx
		_ = rt.Watch(ctx, func(e runtime.Event) error {
			mu.Lock()
			defer mu.Unlock()
			if e.Ready != nil && e.Ready.Ready && len(ready) < manyServices*manyReplicas {
				if ready[e.Instance] = true; len(ready) == manyServices*manyReplicas {
					close(up)
				}
			}
			return nil
		})
	})
	defer watch.Wait()
	defer cancel()
	specs := make(chan runtime.Spec)
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() { // ends with specs
			for spec := range specs {
				if _, err := rt.Start(t.Context(), spec); err != nil {
					t.Error(err)
				} else if err := rt.Route(t.Context(), spec.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range manyServices {
		specs <- s.spec(fmt.Sprintf("s%03d", i), manyReplicas)
	}
	close(specs)
	work.Wait()
	accepted := time.Since(began)
	select {
	case <-up:
	case <-time.After(2 * patience):
		mu.Lock()
		defer mu.Unlock()
		t.Fatalf("%d instances are ready", len(ready))
	}
	t.Logf("%d services of %d replicas: accepted after %v, ready after %v", manyServices, manyReplicas, accepted, time.Since(began))
	t.Logf("PSS %d MB (budget 80)", pss(t, rt.Description().PID)/1024)
	writes := s.writes(t)
	for what, n := range writes {
		if n != 1 {
			t.Errorf("%s: %d times", what, n)
		}
	}
	t.Logf("%d writes, one for each object", len(writes))

	s.gate.obey(away)
	s.gate.cut()
	<-time.After(5 * time.Second)
	for i := range 20 { // what is missed meanwhile
		s.exitOf(t, fmt.Sprintf("s%03d", i), 7)
	}
	seen := make(chan struct{})
	missed := map[runtime.InstanceID]bool{}
	watch.Go(func() { // ends with ctx
		_ = rt.Watch(ctx, func(e runtime.Event) error {
			if e.Exit != nil && e.Exit.Code == 7 && len(missed) < 20 {
				if missed[e.Instance] = true; len(missed) == 20 {
					close(seen)
				}
			}
			return nil
		})
	})
	s.gate.obey(nil)
	back := time.Now()
	select {
	case <-seen:
		t.Logf("all is known %v after the API server was back (budget 2s, with the wait for the next try)", time.Since(back))
	case <-time.After(patience):
		t.Error("what happened meanwhile is not told")
	}
	t.Logf("PSS %d MB after the resync", pss(t, rt.Description().PID)/1024)
	eventuallyWatched(t, s)
	if after := s.writes(t); len(after) != len(writes) {
		t.Errorf("the resync wrote: %d writes instead of %d", len(after), len(writes))
	}
}

// away is an API server that does not answer usefully.
func away(w http.ResponseWriter, _ *http.Request) bool {
	answer(w, http.StatusServiceUnavailable, "ServiceUnavailable", "apiserver not ready")
	return true
}

// exitOf ends the container of a service's first pod.
func (s *scene) exitOf(t *testing.T, service string, code int32) {
	t.Helper()
	list, err := s.admin.CoreV1().Pods(s.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "stead.dev/service=" + service})
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("pods of %s: %v, %v", service, list, err)
	}
	if err := s.kubelet.exit(t.Context(), &list.Items[0], code); err != nil {
		t.Fatal(err)
	}
}

// pss in kB.
func pss(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Skip("needs: /proc/PID/smaps_rollup")
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no Pss")
	return 0
}
