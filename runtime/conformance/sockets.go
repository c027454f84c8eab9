package conformance

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stead-dev/stead/runtime"
)

var socketCases = []testCase{
	{name: "ListenIsDeclarative", run: listenIsDeclarative, needs: runtime.CapabilitySockets},
	{name: "SocketsAreDeclaredFirst", run: socketsAreDeclaredFirst, needs: runtime.CapabilitySockets},
	{name: "SocketsOutliveGenerations", run: socketsOutliveGenerations, needs: runtime.CapabilitySockets, processes: true},
	{name: "SocketsAreClosed", run: socketsAreClosed, needs: runtime.CapabilitySockets, processes: true},
	{name: "SocketIsTaken", run: socketIsTaken, needs: runtime.CapabilitySockets, processes: true},
	{name: "ReservedIsNotBound", run: reservedIsNotBound, needs: runtime.CapabilityReserve},
	{name: "SignalErrors", run: signalErrors, needs: runtime.CapabilitySockets},
	{name: "SignalArrives", run: signalArrives, needs: runtime.CapabilitySockets, processes: true},
}

// listen declares a socket on a port that was free a moment ago, beside others.
func (s *suite) listen(t *testing.T, name string, others ...runtime.Socket) runtime.Socket {
	t.Helper()
	var statuses []runtime.SocketStatus
	for range 10 { // somebody else may be quicker
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		socket := runtime.Socket{Name: name, Address: l.Addr().String()}
		l.Close()
		if statuses = s.declare(t, append(others, socket)...); statuses[len(others)].Error == "" {
			return socket
		}
	}
	t.Fatalf("no socket is to be had: %+v", statuses)
	return runtime.Socket{}
}

func (s *suite) declare(t *testing.T, sockets ...runtime.Socket) []runtime.SocketStatus {
	t.Helper()
	statuses, err := s.rt.Listen(t.Context(), sockets)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	if len(statuses) != len(sockets) {
		t.Fatalf("%d statuses for %d sockets", len(statuses), len(sockets))
	}
	for i, status := range statuses {
		if status.Socket != sockets[i] {
			t.Fatalf("status %d is of %+v, want %+v", i, status.Socket, sockets[i])
		}
	}
	return statuses
}

func listenIsDeclarative(t *testing.T, s *suite) {
	if got := s.declare(t); len(got) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
	good := s.listen(t, "shop/web/http")
	statuses := s.declare(t,
		runtime.Socket{Name: "a", Address: "localhost:http"}, runtime.Socket{Name: "b", Address: "127.0.0.1:0"}, good,
		runtime.Socket{Name: good.Name, Address: "127.0.0.1:1"})
	for i, status := range statuses {
		if bad := i != 2; bad != (status.Error != "") {
			t.Errorf("%+v: error %q", status.Socket, status.Error)
		}
	}
}

func socketsAreDeclaredFirst(t *testing.T, s *suite) {
	socket := s.listen(t, "shop/web/http")
	s.declare(t)
	spec := s.spec("web", "accept", "hello")
	spec.Sockets = []runtime.Socket{{Name: "http", Address: socket.Address}}
	_, err := s.rt.Start(t.Context(), spec)
	wantClass(t, "a socket that nobody has declared", err, runtime.Unavailable)
	if runtime.Hint(err) == "" {
		t.Error("no hint")
	}
	spec.Sockets[0].Address = s.listen(t, "shop/web/http").Address
	w := s.watch(t)
	s.start(t, spec)
	w.started(t, spec.ID, 1)
}

// hear connects and returns what the service says.
func hear(address string) (string, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

func socketsOutliveGenerations(t *testing.T, s *suite) {
	http := s.listen(t, "shop/web/http")
	admin := s.listen(t, "shop/web/admin", http)
	w := s.watch(t)
	spec := s.spec("web", "accept", "one")
	spec.Ready = &runtime.Probe{Kind: runtime.ProbeLog, Text: "accepting"}
	spec.Sockets = []runtime.Socket{{Name: "http", Address: http.Address}, {Name: "admin", Address: admin.Address}}
	s.start(t, spec)
	w.ready(t, spec.ID)
	for i, address := range []string{http.Address, admin.Address} {
		if got, err := hear(address); got != fmt.Sprint("one ", i, " ", spec.Sockets[i].Name) {
			t.Errorf("heard %q, %v", got, err)
		}
	}
	s.stop(t, spec.ID, runtime.StopRequest{})
	w.phase(t, spec.ID, runtime.GenerationStopped)
	s.declare(t, admin, http) // once more, in another order: nothing happens
	conn, err := net.Dial("tcp", http.Address)
	if err != nil {
		t.Fatalf("between two generations: %v", err)
	}
	defer conn.Close()
	spec.ID.Number, spec.Command = 2, s.command("accept", "two")
	s.start(t, spec)
	w.ready(t, spec.ID)
	if got, err := bufio.NewReader(conn).ReadString('\n'); got != "two 0 http\n" {
		t.Errorf("whoever had to wait heard %q, %v", got, err)
	}
}

func socketsAreClosed(t *testing.T, s *suite) {
	idle := s.listen(t, "idle")
	used := s.listen(t, "used", idle)
	w := s.watch(t)
	spec := s.spec("web", "accept", "hello")
	spec.Ready, spec.Sockets = &runtime.Probe{Kind: runtime.ProbeLog, Text: "accepting"}, []runtime.Socket{used}
	s.start(t, spec)
	w.ready(t, spec.ID)
	s.declare(t)
	if _, err := hear(idle.Address); err == nil {
		t.Error("what nobody declares or uses listens")
	}
	if _, err := hear(used.Address); err != nil {
		t.Errorf("what a generation uses was closed: %v", err)
	}
	s.stop(t, spec.ID, runtime.StopRequest{})
	w.phase(t, spec.ID, runtime.GenerationStopped)
	eventually(t, "what nobody uses any more is closed", func() bool {
		conn, err := net.Dial("tcp", used.Address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

func socketIsTaken(t *testing.T, s *suite) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket := runtime.Socket{Name: "shop/web/http", Address: l.Addr().String()}
	status := s.declare(t, socket)[0]
	if !strings.Contains(status.Error, socket.Address) || status.Hint == "" || status.Absent {
		t.Errorf("%+v", status)
	}
	l.Close()
	if status := s.declare(t, socket)[0]; status.Error != "" {
		t.Errorf("when it is free: %+v", status)
	}
}

// What is reserved is for somebody else to listen on, and is no socket to give.
func reservedIsNotBound(t *testing.T, s *suite) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reserved := runtime.Socket{Name: "shop/db/5432", Address: l.Addr().String(), Reserve: true}
	good := s.listen(t, "shop/web/http", reserved)
	for _, status := range s.declare(t, reserved, good, runtime.Socket{Name: good.Name, Address: "127.0.0.1:1", Reserve: true}) {
		if status.Error != "" || status.Absent {
			t.Errorf("%+v", status)
		}
	}
	if status := s.declare(t, runtime.Socket{Name: "bad", Address: "127.0.0.1", Reserve: true})[0]; status.Error == "" {
		t.Error("what is no address was reserved")
	}
	spec := s.spec("web", "accept", "hello")
	spec.Sockets = []runtime.Socket{{Name: "http", Address: reserved.Address}}
	_, err = s.rt.Start(t.Context(), spec)
	wantClass(t, "a socket that is only reserved", err, runtime.Unavailable)
}

func signalErrors(t *testing.T, s *suite) {
	spec := s.spec("job", "exit", "0")
	wantClass(t, "of a stranger", s.rt.Signal(t.Context(), spec.ID, "HUP"), runtime.NotFound)
	w := s.watch(t)
	s.start(t, spec)
	w.phase(t, spec.ID, runtime.GenerationCompleted)
	for _, name := range []string{"", "PARDON"} {
		wantClass(t, "no signal", s.rt.Signal(t.Context(), spec.ID, name), runtime.Invalid)
	}
	wantClass(t, "of what has ended", s.rt.Signal(t.Context(), spec.ID, "HUP"), runtime.Unavailable)
}

func signalArrives(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "signals")
	spec.Ready = &runtime.Probe{Kind: runtime.ProbeLog, Text: "waiting"}
	spec.Replicas = 2
	s.start(t, spec)
	w.until(t, "both are ready", func(events []runtime.Event) bool { return count(events, spec.ID, runtime.ReadyEvent) == 2 })
	for n, name := range []string{"HUP", "SIGHUP"} {
		if err := s.rt.Signal(t.Context(), spec.ID, name); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("hangup %d\n", n+1)
		eventually(t, want, func() bool { return strings.Count(s.logs(t, runtime.LogQuery{Service: "web"}), want) == 2 })
	}
}
