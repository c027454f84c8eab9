package proof

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stead-dev/stead/plugins/kubernetes/suite"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/plugin"
)

// change is what a daemon asks for, and goes on with after a death: a service
// started and routed, and another generation put in its place.
type change struct {
	first, second runtime.Spec
	done          int // steps that have succeeded
}

func (c *change) goOn(ctx context.Context, rt runtime.Runtime) error {
	steps := []func() error{
		func() error { _, err := rt.Start(ctx, c.first); return err },
		func() error { return awaitReady(ctx, rt, c.first) },
		func() error { return rt.Route(ctx, c.first.ID) },
		func() error { _, err := rt.Start(ctx, c.second); return err },
		func() error { return awaitReady(ctx, rt, c.second) },
		func() error { return rt.Route(ctx, c.second.ID) },
		func() error { return remove(ctx, rt, c.first.ID) },
	}
	for ; c.done < len(steps); c.done++ {
		if err := steps[c.done](); err != nil {
			return err
		}
	}
	return nil
}

// remove stops a generation, and waits for its end.
func remove(ctx context.Context, rt runtime.Runtime, id runtime.ID) error {
	if err := rt.Stop(ctx, id, runtime.StopRequest{Drain: true}); runtime.Class(err) == runtime.NotFound {
		return nil // a successor does not know what is gone
	} else if err != nil {
		return err
	}
	return watchFor(ctx, rt, func(e runtime.Event) bool {
		return e.ID == id && e.Generation != nil && e.Generation.Phase.Final()
	})
}

func awaitReady(ctx context.Context, rt runtime.Runtime, spec runtime.Spec) error {
	ready := map[int]bool{}
	return watchFor(ctx, rt, func(e runtime.Event) bool {
		if e.Ready != nil && e.Ready.Ready && e.Instance.ID == spec.ID {
			ready[e.Instance.Replica] = true
		}
		return len(ready) == spec.Replicas
	})
}

// watchFor returns nil when an event is the one.
func watchFor(ctx context.Context, rt runtime.Runtime, is func(runtime.Event) bool) error {
	found := errors.New("found")
	if err := rt.Watch(ctx, func(e runtime.Event) error {
		if is(e) {
			return found
		}
		return nil
	}); !errors.Is(err, found) {
		return err
	}
	return nil
}

// TestKubernetesKilledBetweenWrites kills the runtime at each of its writes,
// before the server has it and after: what it began is finished by its
// successor, and no write is done twice.
func TestKubernetesKilledBetweenWrites(t *testing.T) {
	s := onControl(t)
	whole := map[string]int(nil)
	for n := 0; ; n++ {
		ended := false
		for _, done := range []bool{false, true} {
			began := time.Now()
			s.namespace = suite.Namespace(t, s.admin)
			ended = s.strike(t, n, done, whole)
			t.Logf("write %d, done %v: %v", n, done, time.Since(began))
			if ended || n == 0 {
				break
			}
		}
		if n == 0 {
			whole = s.writes(t)
			t.Logf("%d kinds of writes undisturbed: %v", len(whole), whole)
		}
		if ended && n > 0 {
			t.Logf("killed at each of %d writes, before and after", n-1)
			return
		}
	}
}

// strike kills the runtime at its nth write; 0: at none. done says whether the
// server gets that one. It reports whether there was no nth write.
func (s *scene) strike(t *testing.T, n int, done bool, whole map[string]int) bool {
	t.Helper()
	home := shortDir(t)
	first := s.spec("web", 1)
	second := next(first)
	second.Environment = map[string]string{"COLOUR": "green", "TOKEN": "s3cret"}
	rt := s.process(t, home)
	dead := s.killAt(t, rt, n, done)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	task := &change{first: first, second: second}
	deaths := 0
	for {
		err := task.goOn(ctx, rt)
		if err == nil {
			break
		}
		select {
		case <-dead:
		case <-time.After(30 * time.Second): // it may just be dying
			t.Fatalf("write %d: %v", n, err)
		}
		if deaths++; deaths > 1 {
			t.Fatalf("write %d, after the death: %v", n, err)
		}
		rt.Close()
		s.gate.obey(nil)
		rt = s.process(t, home)
	}
	s.gate.obey(nil)
	s.holds(t, nil, second)
	if got := s.writes(t); n > 0 && !maps.Equal(got, whole) {
		t.Errorf("killed at write %d (done: %v): %v\nwant %v", n, done, got, whole)
	}
	kill(t, rt)
	return n > 0 && deaths == 0
}

// killAt has the gate kill a process. What is returned is closed by then.
func (s *scene) killAt(t *testing.T, rt *plugin.Client, n int, done bool) <-chan struct{} {
	dead := make(chan struct{})
	var mu sync.Mutex
	seen := 0
	s.gate.obey(func(_ http.ResponseWriter, r *http.Request) bool {
		if !isWrite(r) {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen != n {
			return false
		}
		if done {
			s.gate.done(r)
		}
		kill(t, rt)
		close(dead)
		panic(http.ErrAbortHandler)
	})
	return dead
}
