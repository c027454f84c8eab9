package gateway_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/gateway"
)

// restarting is a service that is held, since its process is on its way.
func restarting(socket gateway.Socket, address string) gateway.Service {
	s := entry(socket, gateway.HTTP, 2, address)
	s.State = gateway.Held
	return s
}

// TestWhoIsHeldWhenTheDaemonDiesIsServed: a service had crashed, and then the
// daemon; the runtime restarted the service, and callers were parked for the
// whole of their time.
func TestWhoIsHeldWhenTheDaemonDiesIsServed(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	dead := serve(t, says("dead"))
	dead.kill()
	g := open(t, gateway.Options{Sockets: &sp, Limits: gateway.Limits{Alone: 20 * time.Millisecond}})
	g.route(t, restarting(socket, dead.address))
	got := make(chan string, 1)
	go func() {
		_, body, _, err := get(caller(t, false), socket.Address)
		if err != nil {
			body = err.Error()
		}
		got <- body
	}()
	g.heard.waiting(t, "shop/web")
	l, err := net.Listen("tcp", dead.address)
	must(t, err)
	serveOn(t, l, says("restarted"))
	select {
	case text := <-got:
		t.Fatalf("answered, with a daemon that has not said so: %s", text)
	case <-time.After(100 * time.Millisecond):
	}
	g.leave()
	if text := <-got; text != "restarted" {
		t.Errorf("got %q", text)
	}
}

// TestAGatewayThatStartsAloneServesWhoWasHeld when the last routes were kept.
func TestAGatewayThatStartsAloneServesWhoWasHeld(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	dir := t.TempDir()
	text, err := json.Marshal(map[string]any{"format": 1, "services": []gateway.Service{restarting(socket, serve(t, says("web")).address)}})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "routes.json"), text, 0o600))
	server, err := gateway.New(gateway.Options{Sockets: &sp, Dir: dir, Log: slog.New(slog.DiscardHandler), Limits: gateway.Limits{Alone: time.Millisecond}})
	must(t, err)
	t.Cleanup(server.Close)
	must(t, server.Load(t.Context()))
	if _, body, _, err := get(caller(t, false), socket.Address); err != nil || body != "web" {
		t.Errorf("got %q, %v", body, err)
	}
}

// TestWhatIsInFlightToAServiceThatIsHeldIsNotCut: it was, five seconds after
// its probe had failed.
func TestWhatIsInFlightToAServiceThatIsHeldIsNotCut(t *testing.T) {
	t.Parallel() // it waits for longer than others take
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	come, goOn := make(chan struct{}), make(chan struct{})
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(come)
		<-goOn
		_, _ = io.WriteString(w, "whole")
	}))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 2, b.address))
	got := make(chan string, 1)
	go func() {
		_, body, _, err := get(caller(t, false), socket.Address)
		if err != nil {
			body = err.Error()
		}
		got <- body
	}()
	<-come
	g.route(t, restarting(socket, b.address))
	time.Sleep(gateway.DefaultDrain + time.Second)
	close(goOn)
	if text := <-got; text != "whole" {
		t.Errorf("got %q", text)
	}
}
