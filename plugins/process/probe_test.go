package process

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/stead-dev/stead/runtime"
)

// serve answers every connection on a port of its own with fn, and returns
// the port.
func serve(t *testing.T, fn func(net.Conn)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fn(conn)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func reply(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, text)
	}
}

// flood answers with a gigabyte.
func flood(head string) func(net.Conn) {
	return func(conn net.Conn) {
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, head)
		block := make([]byte, 1<<20)
		for range 1 << 10 {
			if _, err := conn.Write(block); err != nil {
				return
			}
		}
	}
}

func hang(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// Whatever answers, a probe ends in time and says what came.
func TestBadAnswers(t *testing.T) {
	for _, kind := range []runtime.ProbeKind{runtime.ProbeHTTP, runtime.ProbeGRPC} {
		for _, c := range []struct {
			name       string
			fn         func(net.Conn)
			http, grpc string // "": it is ready
		}{
			{"hangs", hang, "no answer in time", "no answer in time"},
			{"closes at once", func(net.Conn) {}, "closed without an answer", "not a gRPC answer"},
			{"redirects", reply("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"), "", "not a gRPC answer"},
			{"redirects to itself", reply("HTTP/1.1 307 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), "", "not a gRPC answer"},
			{"garbage", reply("\x00\xff\x1b[31mgarbage\r\n\r\n"), "not an HTTP answer", "not a gRPC answer"},
			{"answers 503 with control characters", reply("HTTP/1.1 503 \x1b[31mNo\x07 way\r\n\r\n"), "status 503 [31mNo way", "not a gRPC answer"},
			{"a line without an end", reply("HTTP/1.1 " + strings.Repeat("x", 100_000)), "closed without an answer", "not a gRPC answer"},
			{"1 GB", flood("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"), "", "not a gRPC answer"},
			{"1 GB of nothing", flood(""), "closed without an answer", "not a gRPC answer"},
		} {
			t.Run(string(kind)+"/"+c.name, func(t *testing.T) {
				port := serve(t, c.fn)
				began := time.Now()
				err := ask(t.Context(), &runtime.Probe{Kind: kind, Path: "/x", Timeout: 300 * time.Millisecond}, loopback[:], port, nil)
				if took := time.Since(began); took > 20*time.Second { // it hangs
					t.Errorf("it took %s", took)
				}
				want := c.http
				if kind == runtime.ProbeGRPC {
					want = c.grpc
				}
				switch {
				case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
					t.Errorf("%v, want %q", err, want)
				case err != nil && (len(err.Error()) > 300 || strings.ContainsAny(err.Error(), "\x1b\x07\n")):
					t.Errorf("not fit to be shown: %q", err)
				}
			})
		}
	}
}

func TestHealth(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	server, state := grpc.NewServer(), health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, state)
	go func() { _ = server.Serve(l) }()
	defer server.Stop()
	state.SetServingStatus("shop.Cart", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	for _, c := range []struct{ service, want string }{
		{"", ""}, {"shop.Cart", "NOT_SERVING"}, {"no.Such", `it does not know the service "no.Such"`},
	} {
		err := ask(t.Context(), &runtime.Probe{Kind: runtime.ProbeGRPC, Service: c.service}, loopback[:], port, nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), c.want)) {
			t.Errorf("%q: %v, want %q", c.service, err, c.want)
		}
	}
	bare := grpc.NewServer()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = bare.Serve(other) }()
	defer bare.Stop()
	err = ask(t.Context(), &runtime.Probe{Kind: runtime.ProbeGRPC}, loopback[:], other.Addr().(*net.TCPAddr).Port, nil)
	if err == nil || !strings.Contains(err.Error(), "no grpc.health.v1.Health service") {
		t.Error(err)
	}
}

// A server that speaks HTTP/2 and answers a health check with a gigabyte.
func TestHealthWithoutEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		for block := make([]byte, 1<<16); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	err = ask(t.Context(), &runtime.Probe{Kind: runtime.ProbeGRPC}, loopback[:], l.Addr().(*net.TCPAddr).Port, nil)
	if err == nil || !strings.Contains(err.Error(), "not a gRPC answer") {
		t.Error(err)
	}
}

func TestEars(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		name, text string
		blocks     []string
		want       bool
	}{
		{"in one block", "listening", []string{"a\nnow listening on 1\n"}, true},
		{"across blocks", "listening", []string{"now liste", "ni", "ng"}, true},
		{"not across lines", "listening", []string{"now liste\n", "ning\n"}, false},
		{"a prompt without an end", "ready> ", []string{"ready", "> "}, true},
		{"with colours", "Server listening", []string{"\x1b[32mServer \x1b[1mlist", "ening\x1b[0m\n"}, true},
		{"regexp", "/^listening on [0-9]+$/", []string{"x listening on 1\n", "listening on ", "80\r\n"}, true},
		{"regexp waits for the end of the line", "/^listening$/", []string{"listening", " not yet\n"}, false},
		{"a slash alone is a text", "/", []string{"GET /\n"}, true},
		{"after a long line", "listening", []string{long, long, "\nlistening\n"}, true},
		{"binary", "listening", []string{"\x00\xff\xfe listening \xff\n"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := newEars(c.text)
			if err != nil {
				t.Fatal(err)
			}
			ear := e.ear()
			for _, block := range c.blocks {
				ear([]byte(block))
			}
			if err := e.ask(); (err == nil) != c.want {
				t.Error(err)
			}
			ear([]byte("more listening\n"))
		})
	}
	if _, err := newEars("/(/"); err == nil {
		t.Error("a bad pattern was taken")
	}
}

func readyBy(p runtime.Probe, deadline time.Duration) func(*runtime.Spec) {
	return func(s *runtime.Spec) { s.Ready, s.ReadyTimeout = &p, deadline }
}

func TestReadyByALineOfTheLog(t *testing.T) {
	b := start(t, Options{}).synced()
	for _, script := range []string{"sleep:20 print:listening block", "complain:listening block"} {
		id := b.start(b.spec(script, readyBy(runtime.Probe{Kind: runtime.ProbeLog, Text: "/^listen/"}, 0)))
		b.untilReady(id)
		b.stop(id, runtime.StopRequest{Kill: true})
		b.untilFinal(id)
	}
	id := b.start(b.spec("print:listening block", func(s *runtime.Spec) { s.Terminal = true },
		readyBy(runtime.Probe{Kind: runtime.ProbeLog, Text: "listening"}, 0)))
	b.untilReady(id)
	b.stop(id, runtime.StopRequest{Kill: true})
	b.untilFinal(id)
	id = b.start(b.spec("print:nothing block", readyBy(runtime.Probe{Kind: runtime.ProbeLog, Text: "listening"}, 50*time.Millisecond)))
	if s := b.untilFinal(id); s.Reason != `not ready within 50ms: no line of its output contains "listening" yet` {
		t.Error(s.Reason)
	}
}

// An exec probe that hangs, or that writes without end, is ended in time.
// Those that end by themselves have all the time they need.
func TestBadChecks(t *testing.T) {
	b := start(t, Options{}).synced()
	for i, c := range []struct {
		script, want string
		timeout      time.Duration
	}{
		{"echo starting; exec sleep 1000", "/bin/sh did not end in time: starting", time.Second},
		{"exec yes f", "/bin/sh did not end in time: f", time.Second},
		{"sleep 1000 & echo left it running; exit 3", "/bin/sh: exit code 3: left it running", time.Minute},
		{"printf 'first\\nlast \\033[1mline\\n\\n' >&2; exit 1", "/bin/sh: exit code 1: last [1mline", time.Minute},
	} {
		id := b.start(b.spec("block", readyBy(runtime.Probe{
			Kind: runtime.ProbeExec, Command: []string{"/bin/sh", "-c", c.script}, Timeout: c.timeout,
		}, 0), func(s *runtime.Spec) { s.ID.Service = fmt.Sprintf("bad%d", i) }))
		b.untilReadiness(id, false, c.want)
		b.stop(id, runtime.StopRequest{Kill: true})
		b.untilFinal(id)
	}
}

// untilReadiness waits for the readiness that is said to be.
func (b *bench) untilReadiness(id runtime.ID, ready bool, detail string) {
	b.t.Helper()
	b.until(fmt.Sprintf("ready %t %q", ready, detail), func(e runtime.Event) bool {
		return e.ID == id && e.Kind == runtime.ReadyEvent && e.Ready.Ready == ready && strings.Contains(e.Ready.Detail, detail)
	})
}

func TestReadinessIsLostAndFound(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("block", func(s *runtime.Spec) {
		s.Ready = &runtime.Probe{
			Kind: runtime.ProbeExec, Command: []string{"/bin/sh", "-c", "echo x >>asked; test ! -e busy || { echo busy; exit 1; }"},
			Interval: 5 * time.Millisecond, Failures: 2,
		}
	}))
	b.untilReadiness(id, true, "")
	for range 2 {
		if err := os.WriteFile(b.dir+"/busy", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		b.untilReadiness(id, false, "busy")
		if err := os.Remove(b.dir + "/busy"); err != nil {
			t.Fatal(err)
		}
		b.untilReadiness(id, true, "")
	}
	b.stop(id, runtime.StopRequest{})
	b.untilFinal(id)
}

func TestLivenessRestarts(t *testing.T) {
	b := start(t, Options{}).synced()
	file := b.dir + "/sick"
	id := b.start(b.spec("child:ignore-term+block block", func(s *runtime.Spec) {
		s.Live = &runtime.Probe{
			Kind: runtime.ProbeExec, Command: []string{"/bin/sh", "-c", "test ! -e sick || { echo it is sick; exit 1; }"},
			Interval: 10 * time.Millisecond,
		}
		s.Restart = runtime.Restart{Policy: runtime.RestartOnFailure, Min: time.Millisecond}
	}))
	b.untilReady(id)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e := b.untilKind(id, runtime.ExitedEvent)
	if want := "liveness probe failed 3 times: /bin/sh: exit code 1: it is sick"; e.Exit.Error != want || !e.Exit.Ready {
		t.Errorf("%+v, want %q", *e.Exit, want)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for b.untilKind(id, runtime.StartedEvent).Instance.Attempt < 2 {
	}
	b.stop(id, runtime.StopRequest{})
	b.untilFinal(id)
}

func TestSuccessCodes(t *testing.T) {
	b := start(t, Options{}).synced()
	for _, c := range []struct {
		script string
		phase  runtime.GenerationPhase
	}{
		{"exit:0", runtime.GenerationCompleted}, {"exit:143", runtime.GenerationCompleted},
		{"exit:1", runtime.GenerationFailed}, {"kill -TERM $$", runtime.GenerationCompleted}, {"kill -KILL $$", runtime.GenerationFailed},
	} {
		id := b.start(b.spec(c.script, func(s *runtime.Spec) {
			s.SuccessCodes = []int{143}
			if strings.HasPrefix(c.script, "kill") {
				s.Command = []string{"/bin/sh", "-c", c.script}
				s.Environment = nil
			}
		}))
		if s := b.untilFinal(id); s.Phase != c.phase {
			t.Errorf("%s: %+v", c.script, s)
		}
	}
}

// A core dump is told from a plain signal.
func TestCoreDump(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("", func(s *runtime.Spec) {
		s.Command, s.Environment = []string{"/bin/sh", "-c", "ulimit -c 0; kill -ABRT $$"}, nil
	}))
	if e := b.untilKind(id, runtime.ExitedEvent); e.Exit.Signal != "SIGABRT" || e.Exit.Core || e.Exit.OOM {
		t.Errorf("%+v", *e.Exit)
	}
	b.untilFinal(id)
}

// Nobody asks any more once it is ready, unless an interval says so.
func TestIdleServicesAreLeftAlone(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("block", func(s *runtime.Spec) {
		s.Ready = &runtime.Probe{Kind: runtime.ProbeExec, Command: []string{"/bin/sh", "-c", "echo asked >>count"}}
	}))
	b.untilReady(id)
	time.Sleep(50 * time.Millisecond)
	if text, _ := os.ReadFile(b.dir + "/count"); string(text) != "asked\n" {
		t.Errorf("%q", text)
	}
	b.stop(id, runtime.StopRequest{})
	b.untilFinal(id)
}

func TestBadProbesAreRefused(t *testing.T) {
	b := start(t, Options{}).synced()
	for name, p := range map[string]struct{ ready, live *runtime.Probe }{
		"log without text":     {ready: &runtime.Probe{Kind: runtime.ProbeLog}},
		"log with bad pattern": {ready: &runtime.Probe{Kind: runtime.ProbeLog, Text: "/(/"}},
		"live by log":          {live: &runtime.Probe{Kind: runtime.ProbeLog, Text: "x"}},
		"live of unknown port": {live: &runtime.Probe{Kind: runtime.ProbeGRPC, Port: "x"}},
		"live without command": {live: &runtime.Probe{Kind: runtime.ProbeExec}},
	} {
		_, err := b.Start(context.Background(), b.spec("", func(s *runtime.Spec) { s.Ready, s.Live = p.ready, p.live }))
		if runtime.Class(err) != runtime.Invalid || runtime.Hint(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
