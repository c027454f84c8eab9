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
		return count(events, spec.ID, runtime.ReadyEvent) == 3
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
