package conformance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

var connectCases = []testCase{
	{name: "ConnectBothWays", run: connectBothWays, needs: runtime.CapabilityConnect},
	{name: "ConnectHalfClose", run: connectHalfClose, needs: runtime.CapabilityConnect},
	{name: "ConnectHalfClosedByTheService", run: connectHalfClosedByTheService, needs: runtime.CapabilityConnect},
	{name: "ConnectCloseCarriesWhatWasWritten", run: connectCloseCarries, needs: runtime.CapabilityConnect, processes: true},
	{name: "ConnectToTheNewest", run: connectToTheNewest, needs: runtime.CapabilityConnect},
	{name: "ConnectEndsWithTheInstance", run: connectEndsWithTheInstance, needs: runtime.CapabilityConnect, processes: true},
	{name: "ConnectEndsWithItsContext", run: connectEndsWithItsContext, needs: runtime.CapabilityConnect},
	{name: "ConnectClosedWhileItIsRead", run: connectClosedWhileRead, needs: runtime.CapabilityConnect},
	{name: "ConnectToOneThatFloods", run: connectToFlood, needs: runtime.CapabilityConnect},
	{name: "ConnectRefusals", run: connectRefusals, needs: runtime.CapabilityConnect},
}

// listener is a service with one port.
func (s *suite) listener(args ...string) runtime.Spec {
	spec := s.spec("web", args...)
	spec.Ports = []runtime.Port{{Name: "main", Protocol: "tcp"}}
	if s.h.Processes {
		spec.Ready = &runtime.Probe{Kind: runtime.ProbeTCP, Port: "main"}
	}
	return spec
}

// connect tries until the service is ready.
func (s *suite) connect(t *testing.T, ctx context.Context, id runtime.ID) runtime.Conn {
	t.Helper()
	for limit := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		conn, err := s.rt.Connect(ctx, runtime.ConnectRequest{ID: id, Port: "main"})
		if err == nil {
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		if runtime.Class(err) != runtime.Unavailable || time.Now().After(limit) {
			t.Fatalf("connect: %v", err)
		}
	}
}

func (s *suite) serve(t *testing.T, args ...string) runtime.Conn {
	t.Helper()
	spec := s.listener(args...)
	s.start(t, spec)
	return s.connect(t, t.Context(), spec.ID)
}

// hurry closes what is waited on in vain, so that a test fails and goes on.
func hurry(t *testing.T, conn runtime.Conn) {
	timer := time.AfterFunc(patience, func() { conn.Close() })
	t.Cleanup(func() { timer.Stop() })
}

func write(t *testing.T, conn runtime.Conn, text string) {
	t.Helper()
	if n, err := io.WriteString(conn, text); err != nil || n != len(text) {
		t.Errorf("write: %d of %d bytes, %v", n, len(text), err)
	}
}

func read(t *testing.T, conn runtime.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got[:n], err, want)
	}
}

func connectBothWays(t *testing.T, s *suite) {
	conn := s.serve(t, "echo")
	hurry(t, conn)
	big := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // more than what is on the way can hold
	sent := make(chan error, 1)
	go func() { // ends when all is sent, or conn closed
		_, err := conn.Write(big)
		sent <- err
	}()
	got := make([]byte, len(big))
	if n, err := io.ReadFull(conn, got); err != nil {
		t.Errorf("%d of %d bytes came back: %v", n, len(big), err)
	}
	if err := <-sent; err != nil || !bytes.Equal(got, big) {
		t.Errorf("sent: %v; it came back as it was: %v", err, bytes.Equal(got, big))
	}
}

func connectHalfClose(t *testing.T, s *suite) {
	conn := s.serve(t, "echo")
	hurry(t, conn)
	write(t, conn, "hello\n")
	read(t, conn, "hello\n")
	for range 2 {
		if err := conn.CloseWrite(); err != nil {
			t.Errorf("close its writing side: %v", err)
		}
	}
	rest, err := io.ReadAll(conn)
	if !s.h.OneWay && (err != nil || string(rest) != "end\n") {
		t.Errorf("after a half-close: %q, %v", rest, err)
	}
	if _, err := conn.Write([]byte("more")); err == nil {
		t.Error("written after the half-close")
	}
}

func connectHalfClosedByTheService(t *testing.T, s *suite) {
	conn := s.serve(t, "farewell")
	hurry(t, conn)
	rest, err := io.ReadAll(conn)
	if string(rest) != "bye\n" || err != nil {
		t.Errorf("it says %q, %v", rest, err)
	}
	if s.h.OneWay {
		return
	}
	write(t, conn, "and so do I\n")
	if s.h.Processes {
		s.follow(t, "web", "and so do I\n")
	}
}

func connectCloseCarries(t *testing.T, s *suite) {
	conn := s.serve(t, "farewell")
	hurry(t, conn)
	read(t, conn, "bye\n")
	if s.h.OneWay {
		return // the service would not hear any more
	}
	write(t, conn, strings.Repeat("x", 1<<20)+"\nthe end\n")
	if err := conn.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	s.follow(t, "web", "\nthe end\n")
}

func connectToTheNewest(t *testing.T, s *suite) {
	w := s.watch(t)
	for number := range uint64(2) {
		spec := s.listener("farewell")
		if number == 1 {
			spec = s.listener("echo")
		}
		spec.ID.Number = number + 1
		s.start(t, spec)
		w.ready(t, spec.ID)
		if err := s.rt.Route(t.Context(), spec.ID); err != nil {
			t.Fatalf("route: %v", err)
		}
	}
	conn := s.connect(t, t.Context(), runtime.ID{Environment: "local", Project: "conformance", Service: "web"})
	hurry(t, conn)
	write(t, conn, "hello\n")
	read(t, conn, "hello\n")
}

func connectEndsWithTheInstance(t *testing.T, s *suite) {
	spec := s.listener("echo")
	s.start(t, spec)
	conn := s.connect(t, t.Context(), spec.ID)
	hurry(t, conn)
	write(t, conn, "hello\n")
	read(t, conn, "hello\n")
	s.stop(t, spec.ID, runtime.StopRequest{Kill: true})
	if rest, _ := io.ReadAll(conn); len(rest) > 0 { // with or without an error: a reset is one
		t.Errorf("%q after the end", rest)
	}
	conn.Close()
	eventually(t, "nothing can be connected to any more", func() bool {
		again, err := s.rt.Connect(t.Context(), runtime.ConnectRequest{ID: spec.ID, Port: "main"})
		if err == nil {
			again.Close()
		}
		return runtime.Class(err) == runtime.Unavailable
	})
}

func connectEndsWithItsContext(t *testing.T, s *suite) {
	spec := s.listener("echo")
	s.start(t, spec)
	ctx, cancel := context.WithCancel(t.Context())
	conn := s.connect(t, ctx, spec.ID)
	hurry(t, conn)
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read when the context has ended: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func connectClosedWhileRead(t *testing.T, s *suite) {
	conn := s.serve(t, "echo")
	write(t, conn, "hello\n")
	read(t, conn, "hello\n")
	time.AfterFunc(10*time.Millisecond, func() { conn.Close() })
	if n, err := conn.Read(make([]byte, 1)); err == nil || n > 0 {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if err := conn.Close(); err != nil {
		t.Errorf("the second close: %v", err)
	}
}

// connectToFlood: whoever does not read can still close.
func connectToFlood(t *testing.T, s *suite) {
	conn := s.serve(t, "flood")
	read(t, conn, strings.Repeat("\x00", 100<<10))
	done := make(chan error, 1)
	go func() { done <- conn.Close() }() // ends with Close, which is what is tested
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("close: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("close does not return")
	}
}

func connectRefusals(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.listener("echo")
	spec.Ready = &runtime.Probe{Kind: runtime.ProbeExec, Command: s.command("exists", "/does/not/exist")}
	s.start(t, spec)
	w.started(t, spec.ID, 1)
	_, err := s.rt.Connect(t.Context(), runtime.ConnectRequest{ID: spec.ID, Port: "main"})
	wantClass(t, "nothing is ready", err, runtime.Unavailable)
	_, err = s.rt.Connect(t.Context(), runtime.ConnectRequest{ID: spec.ID, Port: "other"})
	wantClass(t, "a port that it does not have", err, runtime.NotFound)
	for _, number := range []uint64{0, 1} {
		id := s.spec("stranger", "run").ID
		id.Number = number
		_, err = s.rt.Connect(t.Context(), runtime.ConnectRequest{ID: id, Port: "main"})
		wantClass(t, "a service that is not known", err, runtime.NotFound)
	}
}
