package daemon

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
)

// slowDoors is a runtime that takes its time to listen, or never answers, and
// notes what was asked of it in which order.
type slowDoors struct {
	fakeLink
	takes func() time.Duration
	began time.Time

	mu    sync.Mutex
	asked []string // "listen", when it is over, or "start web"
	at    map[string]time.Duration
}

func (s *slowDoors) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, what)
	if _, ok := s.at[what]; !ok {
		s.at[what] = time.Since(s.began)
	}
}

func (s *slowDoors) Listen(ctx context.Context, sockets []runtime.Socket) ([]runtime.SocketStatus, error) {
	select {
	case <-time.After(s.takes()):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer s.note("listen")
	return s.fakeLink.Listen(ctx, sockets)
}

func (s *slowDoors) Start(ctx context.Context, spec runtime.Spec) (runtime.Handle, error) {
	s.note("start " + spec.ID.Label())
	return s.fakeLink.Start(ctx, spec)
}

// when returns after how long something was first asked.
func (s *slowDoors) when(t *testing.T, what string) time.Duration {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.at[what]
	if !ok {
		t.Fatalf("%q was not asked: %v", what, s.asked)
	}
	return at
}

// slowHome is a home over slow doors, in a bubble.
func slowHome(t *testing.T, takes func() time.Duration, capabilities []string, services ...Service) (*home, *slowDoors) {
	slow := &slowDoors{takes: takes, began: time.Now(), at: map[string]time.Duration{}}
	h := &home{t: t, store: newMemory(), boot: "boot 1", gates: gatewaysOf()}
	h.runtime = fake.New(fake.Options{Capabilities: capabilities})
	h.through = func(l fakeLink) Link { slow.fakeLink = l; return slow }
	h.began(services...)
	return h, slow
}

var reserves = []string{runtime.CapabilitySockets, runtime.CapabilityReserve}

// self has a service listen on a number by itself.
func self(number int) func(*Service) {
	return func(s *Service) {
		s.Spec.Ports = []runtime.Port{{Name: "db", Number: number, Protocol: "tcp"}}
		s.Published = []Published{{Port: "db", Number: number, Protocol: "tcp", Mode: ModeSelf}}
	}
}

// TestAPrivatePortIsGivenAfterThePublishedOnesAreDeclared: a service was given
// 27017 before the runtime had heard that another is published there.
func TestAPrivatePortIsGivenAfterThePublishedOnesAreDeclared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, slow := slowHome(t, func() time.Duration { return 300 * time.Millisecond }, reserves,
			service("web", published(27017)), service("db", self(26257)), service("job"))
		h.up()
		h.eventually("web is up", readyAt("web", 1))
		web := slow.when(t, "start web/1")
		if first := slow.when(t, "listen"); web < first {
			t.Errorf("web was started after %v, its port declared after %v", web, first)
		}
		for _, label := range []string{"start db/1", "start job/1"} { // they are given no number
			if at := slow.when(t, label); at >= web {
				t.Errorf("%s waited until %v", label, at)
			}
		}

		// Another project's generation waits for its own, however much is open.
		before := time.Since(slow.began)
		h.project.Services = maps.Clone(h.project.Services) // the daemon has the one before
		h.project.Services["late"] = service("late", published(29092))
		h.up()
		h.eventually("late is up", readyAt("late", 1))
		if took := slow.when(t, "start late/1") - before; took < 300*time.Millisecond {
			t.Errorf("late was started %v after the apply, before its port was declared", took)
		}
		h.detach()
	})
}

// TestASaveWaitsForNoPort: what a save starts has no number to wait for.
func TestASaveWaitsForNoPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pace sync.Mutex
		pause := time.Duration(0)
		h, slow := slowHome(t, func() time.Duration { pace.Lock(); defer pace.Unlock(); return pause }, reserves, service("web", published(9001)))
		h.up()
		h.eventually("web is up", readyAt("web", 1))
		synctest.Wait()
		pace.Lock()
		pause = time.Hour
		pace.Unlock()
		before := time.Since(slow.began)
		h.project.Services = maps.Clone(h.project.Services)
		h.project.Services["web"] = service("web", published(9001), func(s *Service) { // as an env file has it
			s.Spec.Environment, s.Plan.Revision = map[string]string{"A": "b"}, "web 2"
		})
		h.up()
		h.eventually("web is reloaded", readyAt("web", 2))
		if took := slow.when(t, "start web/2") - before; took != 0 {
			t.Errorf("it was started after %v", took)
		}
		h.detach()
	})
}

// TestDoorsThatDoNotOpenHoldNoStartForLong, however many there are one after
// another.
func TestDoorsThatDoNotOpenHoldNoStartForLong(t *testing.T) {
	never := func() time.Duration { return time.Hour }
	for name, c := range map[string]struct {
		capabilities []string
		most         time.Duration
	}{
		"they hang":                {reserves, openLimit},
		"the runtime has none":     {nil, 0},
		"it cannot reserve either": {[]string{runtime.CapabilitySockets}, openLimit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, slow := slowHome(t, never, c.capabilities,
					service("a", published(9001)), service("b", published(9002), needs("a")), service("c", published(9003), needs("b")))
				go func() { _, _ = h.Up(context.Background(), UpRequest{}) }() // waits for the doors itself
				h.eventually("all is up", readyAt("c", 1))
				if at := slow.when(t, "start c/1"); at > c.most {
					t.Errorf("the last was started after %v, want %v", at, c.most)
				}
				h.detach()
				synctest.Wait()
			})
		})
	}
}

// TestAWaitingStartIsInTheWayOfNothing: more wait than there are workers.
func TestAWaitingStartIsInTheWayOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2)
		open, done := make(chan struct{}), 0
		var mu sync.Mutex
		for i := range 10 {
			q.addAfter(serviceName("shop", string(rune('a'+i))), func() { <-open }, func() { mu.Lock(); done++; mu.Unlock() })
		}
		other := make(chan struct{})
		q.add(serviceName("shop", "z"), func() { close(other) })
		<-other
		own := make(chan struct{})
		q.add(serviceName("shop", "a"), func() { close(own) })
		synctest.Wait()
		select {
		case <-own:
			t.Error("a job of the same service overtook the one that waits")
		default:
		}
		close(open)
		<-own
		q.close()
		if done != 10 {
			t.Errorf("%d of 10 jobs were done", done)
		}
	})
}

// TestANewRuntimeIsAskedForPortsFirst: the one before has taken along what it
// was told.
func TestANewRuntimeIsAskedForPortsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, slow := slowHome(t, func() time.Duration { return 300 * time.Millisecond }, reserves, service("web", published(9001)))
		if _, err := h.Up(t.Context(), UpRequest{Keep: true}); err != nil {
			t.Fatal(err)
		}
		h.eventually("web is up", readyAt("web", 1))
		h.detach()
		synctest.Wait()
		h.boot, h.runtime = "boot 2", fake.New(fake.Options{Capabilities: reserves, Nonce: "another"})
		slow.mu.Lock()
		slow.asked, slow.at = nil, map[string]time.Duration{}
		slow.mu.Unlock()
		h.start()
		h.eventually("web is up again", readyAt("web", 2))
		if web, first := slow.when(t, "start web/2"), slow.when(t, "listen"); web < first {
			t.Errorf("web was started after %v, its port declared after %v", web, first)
		}
		h.detach()
	})
}

// TestNumbersOfServicesAreReserved: those that they listen on by themselves,
// and those of services that are down now.
func TestNumbersOfServicesAreReserved(t *testing.T) {
	target := func(s *Service) { published(8080)(s); s.Spec.Ports[0].Number = 3000 }
	h, _ := newGatedHome(t, service("db", self(26257)), service("app", target))
	reserved := func() []string {
		var addresses []string
		for _, c := range h.runtime.Calls() {
			if c.Method == "Listen" {
				addresses = nil
				for _, s := range c.Sockets {
					if s.Reserve {
						addresses = append(addresses, s.Address)
					}
				}
			}
		}
		return addresses
	}
	h.waits("what the services listen on is reserved", func() bool {
		return slices.Equal(reserved(), []string{"127.0.0.1:3000", "127.0.0.1:26257"})
	})
	if want := []string{"127.0.0.1:8080", "[::1]:8080"}; !slices.Equal(h.sockets(), want) {
		t.Errorf("sockets %v, want %v", h.sockets(), want)
	}
	if err := h.Want(t.Context(), h.names("shop-1", []string{"db", "app"}), false); err != nil {
		t.Fatal(err)
	}
	h.waits("what is down keeps its numbers", func() bool {
		return slices.Equal(reserved(), []string{"127.0.0.1:3000", "127.0.0.1:8080", "127.0.0.1:26257"})
	})
}

// TestAnOlderRuntimeReservesNothing: it would bind what is reserved.
func TestAnOlderRuntimeReservesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := slowHome(t, func() time.Duration { return 0 }, []string{runtime.CapabilitySockets}, service("web", published(9001)), service("db", self(26257)))
		h.up()
		h.eventually("web is up", readyAt("web", 1))
		if want := []string{"127.0.0.1:9001", "[::1]:9001"}; !slices.Equal(h.sockets(), want) {
			t.Errorf("sockets %v, want %v", h.sockets(), want)
		}
		for _, c := range h.runtime.Calls() {
			if slices.ContainsFunc(c.Sockets, func(s runtime.Socket) bool { return s.Reserve }) {
				t.Errorf("declared %v", c.Sockets)
			}
		}
		h.detach()
	})
}
