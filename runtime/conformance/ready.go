package conformance

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

var readyCases = []testCase{
	{name: "ReadyByTCP", run: readyByTCP, processes: true},
	{name: "ReadyByHTTP", run: readyByHTTP, processes: true},
	{name: "ReadyByExec", run: readyByExec, processes: true},
	{name: "ReadyByGRPC", run: readyByGRPC, processes: true},
	{name: "ReadyByLog", run: readyByLog, processes: true},
	{name: "ReadyByNotify", run: readyByNotify, processes: true},
	{name: "ReadyIsLostAndFound", run: readyIsLostAndFound, processes: true},
	{name: "ReadyTimeout", run: readyTimeout},
	{name: "PortsArePrivate", run: portsArePrivate, processes: true},
}

// server is a service with one port that it is given.
func (s *suite) server(service, after string) runtime.Spec {
	spec := s.spec(service, "serve", after)
	spec.Ports = []runtime.Port{{Name: "http", Protocol: "http"}}
	return spec
}

func readyByTCP(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.server("web", "100ms")
	spec.Ready = &runtime.Probe{Kind: runtime.ProbeTCP, Port: "http"}
	s.start(t, spec)
	w.ready(t, spec.ID)
	started := w.started(t, spec.ID, 1)
	conn, err := net.Dial("tcp", started.Started.Endpoints["http"])
	if err != nil {
		t.Fatalf("it is ready, and %v", err)
	}
	conn.Close()
}

func readyByHTTP(t *testing.T, s *suite) {
	w := s.watch(t)
	good, bad := s.server("good", "50ms"), s.server("bad", "0s")
	good.Ready = &runtime.Probe{Kind: runtime.ProbeHTTP, Port: "http", Path: "/ok"}
	bad.Ready = &runtime.Probe{Kind: runtime.ProbeHTTP, Port: "http", Path: "/other"} // 500
	bad.ReadyTimeout = 500 * time.Millisecond
	s.start(t, good)
	s.start(t, bad)
	w.ready(t, good.ID)
	if exit := w.exited(t, bad.ID, 1); exit.Ready {
		t.Error("status 500 was taken for ready")
	}
}

func readyByExec(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "run")
	spec.Ready = &runtime.Probe{Kind: runtime.ProbeExec, Command: s.command("exists", s.file("ready"))}
	s.start(t, spec)
	w.started(t, spec.ID, 1)
	made := time.Now()
	if err := os.WriteFile(s.file("ready"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := w.ready(t, spec.ID); e.Time.Before(made) {
		t.Error("it was ready before its probe could succeed")
	}
}

func readyByGRPC(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.server("cart", "0s")
	spec.Command = s.command("grpc")
	spec.Ready = &runtime.Probe{Kind: runtime.ProbeGRPC, Port: "http"}
	s.start(t, spec)
	w.ready(t, spec.ID)
	other := s.server("web", "0s") // HTTP/1
	other.Ready, other.ReadyTimeout = &runtime.Probe{Kind: runtime.ProbeGRPC, Port: "http"}, 500*time.Millisecond
	s.start(t, other)
	if exit := w.exited(t, other.ID, 1); exit.Ready || exit.Error == "" {
		t.Errorf("%+v", exit)
	}
}

func readyByLog(t *testing.T, s *suite) {
	w := s.watch(t)
	good, bad := s.spec("good", "print", `starting\nlistening on 80\n`), s.spec("bad", "print", `starting\n`)
	good.Ready = &runtime.Probe{Kind: runtime.ProbeLog, Text: "/^listening on [0-9]+$/"}
	bad.Ready, bad.ReadyTimeout = &runtime.Probe{Kind: runtime.ProbeLog, Text: "listening"}, 300*time.Millisecond
	if s.refused(t, good) {
		return
	}
	s.start(t, good)
	s.start(t, bad)
	w.ready(t, good.ID)
	if exit := w.exited(t, bad.ID, 1); exit.Ready || exit.Error == "" {
		t.Errorf("%+v", exit)
	}
}

func readyByNotify(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "notify", `READY=1\nSTATUS=three guests`)
	spec.Ready = &runtime.Probe{Kind: runtime.ProbeNotify}
	if s.refused(t, spec) {
		return
	}
	s.start(t, spec)
	if e := w.ready(t, spec.ID); e.Ready.Detail != "three guests" {
		t.Errorf("%+v", *e.Ready)
	}
}

func readyIsLostAndFound(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "run")
	spec.Ready = &runtime.Probe{
		Kind: runtime.ProbeExec, Command: s.command("exists", s.file("ready")), Interval: 5 * time.Millisecond, Failures: 1,
	}
	put := func() {
		if err := os.WriteFile(s.file("ready"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put()
	s.start(t, spec)
	w.ready(t, spec.ID)
	if err := os.Remove(s.file("ready")); err != nil {
		t.Fatal(err)
	}
	lost := w.wait(t, "it is not ready any more", func(e runtime.Event) bool { return e.Ready != nil && !e.Ready.Ready && e.Ready.Detail != "" })
	put()
	w.wait(t, "it is ready again", func(e runtime.Event) bool { return e.Ready != nil && e.Ready.Ready && e.Sequence > lost.Sequence })
}

func readyTimeout(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "run")
	spec.Ready, spec.ReadyTimeout = s.neverReady(), 200*time.Millisecond
	s.start(t, spec)
	if exit := w.exited(t, spec.ID, 1); exit.Success() || exit.Ready {
		t.Errorf("%+v", exit)
	}
	if status := w.phase(t, spec.ID, runtime.GenerationFailed); status.Reason == "" {
		t.Error("failed without a reason")
	}
}

func portsArePrivate(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.server("web", "0s")
	spec.Ready = &runtime.Probe{Kind: runtime.ProbeTCP, Port: "http"}
	spec.Replicas = 3
	s.start(t, spec)
	w.until(t, "three are ready", func(events []runtime.Event) bool {
		ready := map[runtime.InstanceID]bool{}
		for _, e := range events {
			if e.Kind == runtime.ReadyEvent && e.Ready.Ready {
				ready[e.Instance] = true
			}
		}
		return len(ready) == 3
	})
	seen := map[string]bool{}
	for _, e := range w.all() {
		if e.Kind == runtime.StartedEvent {
			seen[e.Started.Endpoints["http"]] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("three replicas listen at %v", seen)
	}
}
