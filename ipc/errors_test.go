package ipc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

func TestErrorsKeepClassHintAndDiagnostics(t *testing.T) {
	list := runtime.Diagnostics{
		{File: "/f", Line: 1, Column: 2, EndLine: 3, EndColumn: 4, Severity: runtime.SeverityError, Text: "bad", Hint: "good", Source: "x: y", Service: "web", Generation: 7},
		{File: "/g", Severity: runtime.SeverityWarning, Text: "odd"},
	}
	cases := []error{
		fmt.Errorf("a: %w", runtime.NotFound),
		fmt.Errorf("b: %w", runtime.Invalid),
		fmt.Errorf("c: %w", runtime.Conflict),
		fmt.Errorf("d: %w", runtime.Unavailable),
		runtime.WithHint(fmt.Errorf("e: %w", runtime.Unsupported), "use another"),
		fmt.Errorf("f: %w", runtime.Internal),
		errors.New("without a class"),
		runtime.WithHint(list, "open the file"),
		fmt.Errorf("not UTF-8: \xff: %w", runtime.Conflict),
		context.DeadlineExceeded,
	}
	b := ipctest.New(ipctest.Shop())
	var fail error
	b.OnUp = func(ipc.UpRequest) (ipc.UpResult, error) { return ipc.UpResult{}, fail }
	s := serve(t, b)
	for _, fail = range cases {
		_, err := s.Up(t.Context(), &steadpb.UpRequest{Directory: "/"})
		if got, want := runtime.Class(err), runtime.Class(fail); got != want {
			t.Errorf("%v: class %v, want %v", fail, got, want)
		}
		if got, want := err.Error(), strings.ToValidUTF8(fail.Error(), "\uFFFD"); got != want {
			t.Errorf("text %q, want %q", got, want)
		}
		if got, want := runtime.Hint(err), runtime.Hint(fail); got != want {
			t.Errorf("%v: hint %q, want %q", fail, got, want)
		}
		var got, want runtime.Diagnostics
		errors.As(err, &got)
		if errors.As(fail, &want); !reflect.DeepEqual(got, want) {
			t.Errorf("%v: diagnostics %v, want %v", fail, got, want)
		}
		if errors.Is(fail, context.DeadlineExceeded) != errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v came back as %v", fail, err)
		}
	}
	if !strings.Contains(s.log.String(), "without a class") {
		t.Errorf("the daemon's log lacks its own fault: %q", s.log)
	}
}

func TestNoDaemon(t *testing.T) {
	socket := filepath.Join(shortDir(t), "none")
	c := ipc.NewClient(socket)
	defer c.Close()
	_, err := c.Version(t.Context(), &steadpb.VersionRequest{})
	if !errors.Is(err, runtime.Unavailable) || err.Error() != "no daemon is running" || runtime.Hint(err) == "" {
		t.Errorf("unary: %v (hint %q)", err, runtime.Hint(err))
	}
	watch, err := c.Watch(t.Context(), &steadpb.StatusRequest{})
	if err == nil {
		_, err = watch.Receive()
	}
	if !errors.Is(err, runtime.Unavailable) || err.Error() != "no daemon is running" {
		t.Errorf("stream: %v", err)
	}
	term, err := c.Terminal(t.Context())
	if err == nil {
		_ = term.Send(&steadpb.TerminalRequest{})
		_, err = term.Receive()
	}
	if !errors.Is(err, runtime.Unavailable) || err.Error() != "no daemon is running" {
		t.Errorf("bidi: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := c.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, runtime.Unavailable) {
		t.Errorf("WaitReady: %v", err)
	}
}

func TestWaitReadyWaitsForTheSocket(t *testing.T) {
	socket := filepath.Join(shortDir(t), "late")
	c := ipc.NewClient(socket)
	defer c.Close()
	answered := make(chan error, 1)
	go func() {
		_, err := c.WaitReady(t.Context())
		answered <- err
	}()
	time.Sleep(20 * time.Millisecond) // it has tried by now, in all likelihood
	l, err := ipc.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	server := ipc.NewServer(ipctest.New(ipctest.Shop()), discard())
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	c.Close()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestDaemonThatLacksACall has what a client meets on its socket when the
// other side is not of its version.
func TestDaemonThatLacksACall(t *testing.T) {
	cases := []struct {
		name   string
		answer http.HandlerFunc
		hint   string
	}{
		{"older daemon", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Stead-Api", "0")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotImplemented)
			_, _ = w.Write([]byte(`{"code":"unimplemented","message":"procedure not registered"}`))
		}, "the daemon may be older"},
		{"newer daemon", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Stead-Api", "9")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotImplemented)
			_, _ = w.Write([]byte(`{"code":"unimplemented","message":"procedure not registered"}`))
		}, "this client is older"},
		{"no daemon of ours", http.NotFound, "not a stead daemon"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			socket := filepath.Join(shortDir(t), "s")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			other := &http.Server{Handler: c.answer}
			done := make(chan struct{})
			go func() { defer close(done); _ = other.Serve(l) }()
			defer func() { _ = other.Close(); <-done }()
			client := ipc.NewClient(socket)
			defer client.Close()
			_, err = client.Status(t.Context(), &steadpb.StatusRequest{})
			if !errors.Is(err, runtime.Unsupported) || !strings.Contains(err.Error(), `"Status"`) || !strings.Contains(runtime.Hint(err), c.hint) {
				t.Errorf("got %v, hint %q", err, runtime.Hint(err))
			}
		})
	}
}

func TestDaemonThatDiesDuringACall(t *testing.T) {
	socket := filepath.Join(shortDir(t), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 10))
			_ = conn.Close()
		}
	}()
	defer func() { _ = l.Close(); <-done }()
	c := ipc.NewClient(socket)
	defer c.Close()
	if _, err := c.Up(t.Context(), &steadpb.UpRequest{Directory: "/"}); !errors.Is(err, runtime.Unavailable) || runtime.Hint(err) == "" {
		t.Errorf("got %v", err)
	}
}
