package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/gateway"
	"github.com/stead-dev/stead/runtime"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestAThousandChangesAtOnceAreFewPushes, and each Apply returns.
func TestAThousandChangesAtOnceAreFewPushes(t *testing.T) {
	g := open(t, gateway.Options{Sockets: new(spine)})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			s := gateway.Service{ID: fmt.Sprintf("shop/s%d", i), State: gateway.Held}
			if err := g.client.Apply(ctx, gateway.Change{Set: []gateway.Service{s}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(g.Table()); n != 1000 {
		t.Errorf("%d services", n)
	}
	must(t, g.client.Apply(ctx, gateway.Change{Remove: []string{"shop/s7"}}))
	if n := len(g.Table()); n != 999 {
		t.Errorf("%d services after one was removed", n)
	}
}

// TestTheClientSendsEverythingAgain to a gateway that begins anew.
func TestTheClientSendsEverythingAgain(t *testing.T) {
	path := filepath.Join(shortDir(t), "c")
	client, h := gateway.NewClient(path, discard()), &heard{}
	ctx, cancel := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() { _ = client.Watch(ctx, h.hear) })
	defer watch.Wait()
	defer cancel()
	early := make(chan error, 1)
	go func() { // before there is any gateway
		early <- client.Apply(ctx, gateway.Change{Set: []gateway.Service{{ID: "shop/web", State: gateway.Held}}})
	}()
	for i := range 3 {
		s, err := gateway.New(gateway.Options{Sockets: new(spine), Log: discard()})
		must(t, err)
		// What the daemon does not want is not there any more afterwards.
		must(t, s.Apply(gateway.Change{Set: []gateway.Service{{ID: "old/one", State: gateway.Held}}}))
		l, err := gateway.ListenControl(path)
		must(t, err)
		served := make(chan error, 1)
		go func() { served <- s.ServeControl(l) }()
		if i == 0 {
			must(t, <-early)
		}
		eventually(t, "the table", func() bool {
			table := s.Table()
			return len(table) == 1 && table[0].ID == "shop/web"
		})
		eventually(t, "synced", func() bool {
			return h.count(func(r gateway.Report) bool { return r.Kind == gateway.Synced }) == i+1
		})
		s.Close()
		must(t, <-served)
	}
}

func TestInvalidChangesAreRefused(t *testing.T) {
	c := gateway.NewClient("nowhere", discard())
	for _, s := range []gateway.Service{
		{State: gateway.Held},
		{ID: "a"},
		{ID: "a", State: gateway.Held, Listeners: []gateway.Listener{{Protocol: "udp"}}},
		{ID: "a", State: gateway.Serving, Endpoints: map[string][]string{"http": {"nowhere"}}},
	} {
		if err := c.Apply(t.Context(), gateway.Change{Set: []gateway.Service{s}}); !errors.Is(err, runtime.Invalid) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func TestApplyEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	c := gateway.NewClient("nowhere", discard())
	if err := c.Apply(ctx, gateway.Change{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestListenControlTakesWhatAKilledGatewayLeft(t *testing.T) {
	path := filepath.Join(shortDir(t), "c")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	dead.SetUnlinkOnClose(false)
	must(t, dead.Close())
	l, err := gateway.ListenControl(path)
	must(t, err)
	defer l.Close()
	if _, err := gateway.ListenControl(path); !errors.Is(err, runtime.Conflict) {
		t.Errorf("a second one: %v", err)
	}
}

// TestASocketThatCannotBeHadIsReported, and had as soon as it can be.
func TestASocketThatCannotBeHadIsReported(t *testing.T) {
	var sp spine
	free := sp.bind(t, "shop/web/http")
	missing := free
	missing.Name = "shop/web/other"
	g := open(t, gateway.Options{Sockets: &sp})
	s := entry(missing, gateway.HTTP, 1, serve(t, says("x")).address)
	g.route(t, s)
	about := func(over bool) func(gateway.Report) bool {
		return func(r gateway.Report) bool {
			return r.Kind == gateway.Port && r.Socket == missing && r.Over == over && over == (r.Problem == "")
		}
	}
	g.heard.await(t, "a problem", about(false))
	sp.mu.Lock()
	sp.files[missing] = sp.files[free]
	sp.mu.Unlock()
	g.heard.await(t, "no problem", about(true))
	if status, _, _, err := get(caller(t, false), missing.Address); err != nil || status != 200 {
		t.Errorf("%d, %v", status, err)
	}
}

// TestUseIsReportedForThoseWhoAsk.
func TestUseIsReportedForThoseWhoAsk(t *testing.T) {
	var sp spine
	one, two := sp.bind(t, "shop/web/http"), sp.bind(t, "shop/two/http")
	g := open(t, gateway.Options{Sockets: &sp})
	b := serve(t, says("x"))
	s, quiet := entry(one, gateway.HTTP, 1, b.address), entry(two, gateway.HTTP, 1, b.address)
	s.Use, quiet.ID = true, "shop/two"
	g.route(t, s, quiet)
	began := time.Now()
	for _, socket := range []gateway.Socket{one, two, one} {
		if _, _, _, err := get(caller(t, false), socket.Address); err != nil {
			t.Fatal(err)
		}
	}
	g.heard.await(t, "use", func(r gateway.Report) bool {
		return r.Kind == gateway.Used && r.Service == "shop/web" && r.InFlight == 0 && !r.At.Before(began.Truncate(0))
	})
	if n := g.heard.count(func(r gateway.Report) bool { return r.Kind == gateway.Used && r.Service == "shop/two" }); n != 0 {
		t.Errorf("%d reports for a service that does not ask", n)
	}
}
