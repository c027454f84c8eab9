package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/supervisor"
)

// unable is a link to a runtime that answers, and cannot reach what it runs on.
type unable struct {
	fakeLink
	mu    sync.Mutex
	away  []string    // methods that are refused
	asked chan string // what was refused
}

func (u *unable) refuses(methods ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.away = methods
}

func (u *unable) refuse(method string, id runtime.ID) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !slices.Contains(u.away, method) {
		return nil
	}
	select {
	case u.asked <- method + " " + id.Label():
	default:
	}
	return fmt.Errorf("the cluster is away: %w", runtime.Unavailable)
}

func (u *unable) Route(ctx context.Context, id runtime.ID) error {
	if err := u.refuse("route", id); err != nil {
		return err
	}
	return u.fakeLink.Route(ctx, id)
}

func (u *unable) Start(ctx context.Context, spec runtime.Spec) (runtime.Handle, error) {
	if err := u.refuse("start", spec.ID); err != nil {
		return runtime.Handle{}, err
	}
	return u.fakeLink.Start(ctx, spec)
}

func (u *unable) Stop(ctx context.Context, id runtime.ID, how runtime.StopRequest) error {
	if err := u.refuse("stop", id); err != nil {
		return err
	}
	return u.fakeLink.Stop(ctx, id, how)
}

func newUnable(t *testing.T) (*home, *unable) {
	u := &unable{asked: make(chan string, 1000)}
	h := &home{t: t, store: newMemory(), boot: "boot 1"}
	h.runtime = fake.New(fake.Options{Capabilities: []string{runtime.CapabilityRoute}})
	h.through = func(l fakeLink) Link { u.fakeLink = l; return u }
	h.began(service("web", func(s *Service) { s.Plan.Reload = supervisor.ReloadOverlap }))
	return h, u
}

// refused waits until something was.
func (u *unable) refused(t *testing.T, want string) {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case got := <-u.asked:
			if got == want {
				return
			}
		case <-limit:
			t.Fatalf("%s was not asked for", want)
		}
	}
}

func (h *home) calls(method string) []string {
	var list []string
	for _, c := range h.runtime.Calls() {
		if c.Method == method {
			list = append(list, c.ID.Label())
		}
	}
	return list
}

// TestTheOldRunsUntilTheNewIsRouted: a refused Route was only logged, and the
// generation that had all the traffic was ended.
func TestTheOldRunsUntilTheNewIsRouted(t *testing.T) {
	h, u := newUnable(t)
	h.up()
	h.eventually("it is ready", phase("web", supervisor.PhaseReady))
	h.waits("it is routed", func() bool { return slices.Equal(h.calls("Route"), []string{"web/1"}) })
	u.refuses("route")
	if err := h.Restart(t.Context(), []supervisor.Name{serviceName("shop-1", "web")}); err != nil {
		t.Fatal(err)
	}
	u.refused(t, "route web/2")
	u.refused(t, "route web/2")
	u.refuses()
	h.waits("the old one is stopped", func() bool { return slices.Contains(h.calls("Stop"), "web/1") })
	var order []string
	for _, c := range h.runtime.Calls() {
		if c.Method == "Route" || c.Method == "Stop" {
			order = append(order, c.Method+" "+c.ID.Label())
		}
	}
	if want := []string{"Route web/1", "Route web/2", "Stop web/1"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}

// TestWhatCannotBeDoneNowIsAskedForAgain: as long as the runtime was attached
// nobody asked again for what it could not do, and it was left undone.
func TestWhatCannotBeDoneNowIsAskedForAgain(t *testing.T) {
	h, u := newUnable(t)
	h.eventually("the runtime is known", func(p *Present) bool { return p.State.Synced })
	u.refuses("start")
	h.up()
	u.refused(t, "start web/1")
	u.refuses()
	h.eventually("it is ready", phase("web", supervisor.PhaseReady))
	u.refuses("stop")
	if err := h.Want(t.Context(), []supervisor.Name{serviceName("shop-1", "web")}, false); err != nil {
		t.Fatal(err)
	}
	u.refused(t, "stop web/1")
	u.refuses()
	h.eventually("it is stopped", phase("web", supervisor.PhaseStopped))
}

// TestAStopThatDoesNotEndSaysWhatIsLeft: it said "context deadline exceeded".
func TestAStopThatDoesNotEndSaysWhatIsLeft(t *testing.T) {
	h, u := newUnable(t)
	h.up()
	h.eventually("it is ready", phase("web", supervisor.PhaseReady))
	u.refuses("stop")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := h.Stop(ctx, true)
	if !errors.Is(err, runtime.Unavailable) || !strings.Contains(err.Error(), "web is stopping") || runtime.Hint(err) == "" {
		t.Errorf("%v, hint %q", err, runtime.Hint(err))
	}
	u.refuses()
	h.eventually("it is stopped", phase("web", supervisor.PhaseStopped))
}
