package process

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stead-dev/stead/runtime"
)

// reserved is a number that a service is to listen on by itself.
func reserved(port int) runtime.Socket {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return runtime.Socket{Name: address, Address: address, Reserve: true}
}

// narrow leaves the runtime two private ports to give out: it is likely that
// nobody has them.
func (b *bench) narrow() (first, second int) {
	b.ports.mu.Lock()
	defer b.ports.mu.Unlock()
	for port := b.ports.low; port < b.ports.high; port++ {
		if free(port) && free(port+1) {
			b.ports.low, b.ports.high, b.ports.next = port, port+1, port
			return port, port + 1
		}
	}
	b.t.Fatal("no two ports are free")
	return 0, 0
}

// TestAPrivatePortIsNoPublishedOne: a service was given 27017 before the
// database that is to be found there was started.
func TestAPrivatePortIsNoPublishedOne(t *testing.T) {
	b := start(t, Options{}).synced()
	first, second := b.narrow()
	if s := b.declare(reserved(first))[0]; s.Error != "" {
		t.Fatalf("%+v", s)
	}
	if !free(first) {
		t.Errorf("port %d is bound, and was only to be reserved", first)
	}
	if port, err := b.ports.take(0, "shop/web"); err != nil || port != second {
		t.Errorf("given port %d, %v, want %d", port, err, second)
	}
	b.ports.release(second)

	// Nor is the number of a socket that could not be bound: its holder may
	// go, and the next Listen is to have it.
	l, err := net.Listen("tcp", reserved(first).Address)
	if err != nil {
		t.Fatal(err)
	}
	if s := b.declare(runtime.Socket{Name: "db", Address: reserved(first).Address})[0]; s.Error == "" {
		t.Error("a port that is taken was bound")
	}
	l.Close()
	if port, err := b.ports.take(0, "shop/web"); err == nil {
		t.Errorf("given port %d, which is to be bound, or rests", port)
	}
	b.declare()
	if port, err := b.ports.take(0, "shop/web"); err != nil || port != first {
		t.Errorf("given port %d, %v, when nobody wants %d any more", port, err, first)
	}
}

// TestAPortThatIsPrivateSaysWhose: all that was said was a pid.
func TestAPortThatIsPrivateSaysWhose(t *testing.T) {
	b := start(t, Options{}).synced()
	spec := b.spec("block", func(s *runtime.Spec) { s.Ports = []runtime.Port{{Name: "http", Protocol: "http"}} })
	id := b.start(spec)
	e := b.untilKind(id, runtime.StartedEvent)
	_, number, err := net.SplitHostPort(e.Started.Endpoints["http"])
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(number)
	address := net.JoinHostPort("127.0.0.1", number)
	// It does not listen there yet, and must not lose it.
	status := b.declare(runtime.Socket{Name: "db", Address: address})[0]
	want := fmt.Sprintf("%s is already taken by stead itself: it is a private port of %s/%s, and a restart of that service frees it", address, id.Project, id.Service)
	if status.Error != want || status.Hint == "" {
		t.Errorf("%+v, want %q", status, want)
	}
	if !free(port) {
		t.Errorf("port %d was bound", port)
	}
	if s := b.declare(reserved(port))[0]; s.Error != "" {
		t.Errorf("reserved: %+v", s)
	}
	// The next attempt has another one: this one is wanted by somebody.
	if again, err := b.ports.take(port, "shop/web"); err != nil || again == port {
		t.Errorf("port %d again, %v", again, err)
	}
}

// TestAPortOfItsOwnThatIsPrivate: who insists on a number is told whose
// private port that is.
func TestAPortOfItsOwnThatIsPrivate(t *testing.T) {
	b := start(t, Options{}).synced()
	first, _ := b.narrow()
	if _, err := b.ports.take(0, "shop/web"); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", reserved(first).Address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	id := b.start(b.spec("block", tcp, func(s *runtime.Spec) { s.Ports[0].Number = first }))
	e := b.untilKind(id, runtime.ExitedEvent)
	if want := fmt.Sprintf("port %d is already taken: it is a private port of shop/web, and a restart of that service frees it", first); e.Exit.Error != want {
		t.Errorf("error %q, want %q", e.Exit.Error, want)
	}
}

// TestHoldersAreLookedForOnce: each refused port was a pass over all that any
// process has open.
func TestHoldersAreLookedForOnce(t *testing.T) {
	b := start(t, Options{}).synced()
	passes := 0
	look := b.listeners.look
	b.listeners.look = func(matches func(netip.AddrPort) bool) map[netip.AddrPort]string {
		passes++
		return look(matches)
	}
	var all []runtime.Socket
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, runtime.Socket{Name: l.Addr().String(), Address: l.Addr().String()})
	}
	for _, s := range b.declare(all...) {
		if who := s.Socket.Address + " is already taken"; !strings.HasPrefix(s.Error, who) || s.Hint == "" {
			t.Errorf("%+v", s)
		} else if inspects && !strings.HasSuffix(s.Error, "(process.test)") {
			t.Errorf("error %q names nobody", s.Error)
		}
	}
	if passes != 1 {
		t.Errorf("looked %d times for the holders of %d ports, want once", passes, len(all))
	}
	b.declare()
	b.bindFree("web")
	if passes > 11 { // bindFree may have met somebody
		t.Errorf("looked %d times where nothing was refused", passes)
	}
}
