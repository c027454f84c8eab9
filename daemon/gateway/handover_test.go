package gateway_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/gateway"
)

// TestNothingIsLostWhenOneGatewayTakesOver: two on the same sockets, five
// times, under load.
func TestNothingIsLostWhenOneGatewayTakesOver(t *testing.T) {
	var sp spine
	web, raw := sp.bind(t, "shop/web/http"), sp.bind(t, "shop/db/tcp")
	w := entry(web, gateway.HTTP, 1, serve(t, pong()).address)
	r := entry(raw, gateway.TCP, 1, echoes(t).address)
	r.ID = "shop/db"
	old := open(t, gateway.Options{Sockets: &sp})
	old.route(t, w, r)
	loads := []*load{
		{name: "HTTP/1.1 kept alive", ask: askHTTP(t, web.Address, false, false)},
		{name: "HTTP/1.1 new", ask: askHTTP(t, web.Address, false, true)},
		{name: "h2c kept alive", ask: askHTTP(t, web.Address, true, false)},
		{name: "h2c new", ask: askHTTP(t, web.Address, true, true)},
		{name: "TCP", ask: askTCP(raw.Address)},
	}
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for _, l := range loads {
		callers.Go(func() { l.run(t, stop) })
	}
	for range 5 {
		before := loads[0].n.Load()
		eventually(t, "requests between gateways", func() bool { return loads[0].n.Load() > before+3 || t.Failed() })
		next := open(t, gateway.Options{Sockets: &sp})
		next.route(t, w, r)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		old.Drain(ctx, patience)
		if ctx.Err() != nil {
			t.Error("the old gateway did not get empty")
		}
		cancel()
		old.close()
		old = next
	}
	close(stop)
	callers.Wait()
	for _, l := range loads {
		t.Logf("%s: %d requests", l.name, l.n.Load())
	}
}

// TestDrainWaitsForWhatIsInFlight, and the limit cuts what does not end.
func TestDrainWaitsForWhatIsInFlight(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	arrived, answer := make(chan struct{}, 2), make(chan struct{})
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-answer
		_, _ = w.Write([]byte("late"))
	}))
	both(t, func(t *testing.T, c *http.Client) {
		g := open(t, gateway.Options{Sockets: &sp})
		g.route(t, entry(socket, gateway.HTTP, 1, b.address))
		got := make(chan string, 1)
		go func() {
			_, body, _, err := get(c, socket.Address)
			if err != nil {
				body = err.Error()
			}
			got <- body
		}()
		<-arrived
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			g.Drain(ctx, time.Millisecond)
		}()
		select {
		case <-drained:
			t.Error("drained with a request in flight")
		case <-time.After(50 * time.Millisecond):
		}
		answer <- struct{}{}
		if text := <-got; text != "late" {
			t.Errorf("got %q", text)
		}
		<-drained
		g.close()
	})
	t.Run("limit", func(t *testing.T) {
		g := open(t, gateway.Options{Sockets: &sp})
		g.route(t, entry(socket, gateway.HTTP, 1, b.address))
		got := make(chan error, 1)
		go func() {
			_, _, _, err := get(caller(t, false), socket.Address)
			got <- err
		}()
		<-arrived
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		g.Drain(ctx, time.Millisecond)
		g.close()
		if err := <-got; err == nil {
			t.Error("a request was answered by a gateway that is closed")
		}
		close(answer)
	})
}

// TestTheLastRoutesAreServedWithoutADaemon by a gateway that begins anew.
func TestTheLastRoutesAreServedWithoutADaemon(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	dir := t.TempDir()
	b := serve(t, says("served"))
	g := open(t, gateway.Options{Sockets: &sp, Dir: dir})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	path := filepath.Join(dir, "routes.json")
	eventually(t, "routes on disk", func() bool { _, err := os.Stat(path); return err == nil })
	g.close()
	again := openAlone(t, gateway.Options{Sockets: &sp, Dir: dir})
	if _, body, _, err := get(caller(t, false), socket.Address); err != nil || body != "served" {
		t.Errorf("%q, %v", body, err)
	}
	if table := again.Table(); len(table) != 1 || table[0].ID != "shop/web" {
		t.Errorf("table %v", table)
	}
	again.Close() // it writes what it has read
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// openAlone starts a gateway that nobody controls.
func openAlone(t *testing.T, o gateway.Options) *gateway.Server {
	t.Helper()
	o.Log = discard()
	s, err := gateway.New(o)
	must(t, err)
	t.Cleanup(s.Close)
	must(t, s.Load(t.Context()))
	return s
}

func TestADamagedFileIsPutAside(t *testing.T) {
	for _, text := range []string{"", "{", `{"format":99}`, `{"format":1,"services":[{"id":"x","state":"odd"}]}`} {
		dir := t.TempDir()
		path := filepath.Join(dir, "routes.json")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		s := openAlone(t, gateway.Options{Sockets: new(spine), Dir: dir})
		if len(s.Table()) != 0 {
			t.Errorf("%q: table %v", text, s.Table())
		}
		if kept, _ := os.ReadFile(path + ".bad"); string(kept) != text {
			t.Errorf("%q was not kept: %q", text, kept)
		}
	}
}

// TestADrainingGatewayLeavesTheFileAlone: it is the successor's.
func TestADrainingGatewayLeavesTheFileAlone(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	dir := t.TempDir()
	g := open(t, gateway.Options{Sockets: &sp, Dir: dir})
	g.Drain(t.Context(), time.Millisecond)
	must(t, g.Apply(gateway.Change{Set: []gateway.Service{entry(socket, gateway.HTTP, 1)}}))
	g.close()
	if text, err := os.ReadFile(filepath.Join(dir, "routes.json")); err == nil && strings.Contains(string(text), "shop/web") {
		t.Errorf("written: %s", text)
	}
}

// TestAGatewayThatNobodyNeedsLeavesAtOnce: a browser that keeps its connection
// had `stead down` wait for it.
func TestAGatewayThatNobodyNeedsLeavesAtOnce(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	b := serve(t, says("served"))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	if _, body, _, err := get(caller(t, false), socket.Address); err != nil || body != "served" { // keeps it
		t.Fatalf("%q, %v", body, err)
	}
	left := make(chan struct{})
	go func() { defer close(left); g.Drain(t.Context(), time.Hour) }()
	select {
	case <-left:
		t.Error("it does not wait for those whose service is routed")
	case <-time.After(10 * time.Millisecond):
	}
	must(t, g.Apply(gateway.Change{Remove: []string{"shop/web"}}))
	select {
	case <-left:
	case <-time.After(time.Minute):
		t.Error("it waits for a connection that is idle")
	}
}
