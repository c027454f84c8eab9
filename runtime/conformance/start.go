package conformance

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/stead-dev/stead/runtime"
)

var startCases = []testCase{
	{name: "Describe", run: describe},
	{name: "StartIsIdempotent", run: startIsIdempotent},
	{name: "StartConflict", run: startConflict},
	{name: "StartInvalid", run: startInvalid},
	{name: "CommandDoesNotExist", run: commandDoesNotExist, processes: true},
	{name: "Replicas", run: replicas},
	{name: "Environment", run: environment, processes: true},
}

func describe(t *testing.T, s *suite) {
	d, err := s.rt.Describe(t.Context(), runtime.ContractVersion)
	if err != nil || d.Name == "" || d.Version != runtime.ContractVersion {
		t.Errorf("got %+v, %v", d, err)
	}
	_, err = s.rt.Describe(t.Context(), runtime.ContractVersion+1)
	wantClass(t, "a later version", err, runtime.Unsupported)
	if runtime.Hint(err) == "" {
		t.Error("a refused version comes without a hint")
	}
}

func startIsIdempotent(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "run")
	first, err := s.rt.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	w.started(t, spec.ID, 1)
	spec.Inherited = append(spec.Inherited, "NEW=1") // neither is part of the hash
	spec.Trial = true
	second, err := s.rt.Start(t.Context(), spec)
	if err != nil || second.Version != first.Version || !bytes.Equal(second.Data, first.Data) {
		t.Errorf("second start: %v, %v; the first was %v", second, err, first)
	}
	if status := w.phase(t, spec.ID, runtime.GenerationRunning); status.Hash != spec.Hash() {
		t.Errorf("hash %s is reported, want %s", status.Hash, spec.Hash())
	}
	s.stop(t, spec.ID, runtime.StopRequest{Kill: true})
	w.phase(t, spec.ID, runtime.GenerationStopped)
	if n := count(w.all(), spec.ID, runtime.StartedEvent); n != 1 {
		t.Errorf("started %d times", n)
	}
	if _, err := s.rt.Start(t.Context(), spec); err != nil { // still known: nothing is started again
		t.Errorf("start of one that was stopped: %v", err)
	}
}

func startConflict(t *testing.T, s *suite) {
	spec := s.spec("web", "run")
	s.start(t, spec)
	spec.Environment = maps.Clone(spec.Environment) // the runtime may have kept the other
	spec.Environment["OTHER"] = "1"
	_, err := s.rt.Start(t.Context(), spec)
	wantClass(t, "another spec", err, runtime.Conflict)
	spec.ID.Number = 2
	s.start(t, spec)
}

func startInvalid(t *testing.T, s *suite) {
	for name, change := range map[string]func(*runtime.Spec){
		"no command":        func(s *runtime.Spec) { s.Command = nil },
		"an empty command":  func(s *runtime.Spec) { s.Command = []string{""} },
		"a relative dir":    func(s *runtime.Spec) { s.Dir = "here" },
		"no replicas":       func(s *runtime.Spec) { s.Replicas = 0 },
		"no service":        func(s *runtime.Spec) { s.ID.Service = "" },
		"no number":         func(s *runtime.Spec) { s.ID.Number = 0 },
		"probe of no port":  func(s *runtime.Spec) { s.Ready = &runtime.Probe{Kind: runtime.ProbeTCP, Port: "none"} },
		"probe without cmd": func(s *runtime.Spec) { s.Ready = &runtime.Probe{Kind: runtime.ProbeExec} },
	} {
		spec := s.spec("web", "run")
		change(&spec)
		_, err := s.rt.Start(t.Context(), spec)
		wantClass(t, name, err, runtime.Invalid)
	}
	spec := s.spec("web", "run")
	spec.Ready = &runtime.Probe{Kind: "telepathy"}
	if _, err := s.rt.Start(t.Context(), spec); runtime.Class(err) != runtime.Unsupported && runtime.Class(err) != runtime.Invalid {
		t.Errorf("an unknown probe: %v", err)
	}
	w := s.watch(t)
	if n := len(w.all()); n != 1 {
		t.Errorf("what was refused is reported:\n%s", format(w.all()))
	}
}

func commandDoesNotExist(t *testing.T, s *suite) {
	w := s.watch(t)
	for service, change := range map[string]func(*runtime.Spec){
		"nocommand": func(s *runtime.Spec) { s.Command = []string{"stead-does-not-exist"} },
		"nofile":    func(s *runtime.Spec) { s.Command = []string{"/does/not/exist"} },
		"nodir":     func(s *runtime.Spec) { s.Dir = "/does/not/exist" },
	} {
		spec := s.spec(service, "run")
		change(&spec)
		s.start(t, spec)
		exit := w.exited(t, spec.ID, 1)
		if exit.Error == "" || exit.Code != -1 || exit.Success() {
			t.Errorf("%s: exit %+v", service, exit)
		}
		if status := w.phase(t, spec.ID, runtime.GenerationFailed); status.Reason == "" {
			t.Errorf("%s: failed without a reason", service)
		}
		if n := count(w.all(), spec.ID, runtime.StartedEvent); n != 0 {
			t.Errorf("%s: it is said to have started", service)
		}
	}
}

func replicas(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "run")
	spec.Replicas = 3
	s.start(t, spec)
	instances, pids := map[runtime.InstanceID]bool{}, map[int]bool{}
	w.until(t, "three are ready", func(events []runtime.Event) bool {
		for _, e := range events {
			if e.Kind == runtime.StartedEvent {
				instances[e.Instance], pids[e.Started.PID] = true, true
			}
		}
		return count(events, spec.ID, runtime.ReadyEvent) == 3
	})
	if len(instances) != 3 || len(pids) != 3 && !s.h.Elsewhere {
		t.Errorf("instances %v, pids %v", instances, pids)
	}
	s.stop(t, spec.ID, runtime.StopRequest{})
	w.phase(t, spec.ID, runtime.GenerationStopped)
	if n := count(w.all(), spec.ID, runtime.ExitedEvent); n != 3 {
		t.Errorf("%d exits", n)
	}
}

// environment: declared variables win over inherited ones, and nothing of the
// runtime's own is passed on.
func environment(t *testing.T, s *suite) {

	spec := s.spec("env", "run")
	spec.Command = []string{"env"}
	spec.Inherited = append(spec.Inherited, "A=inherited", "B=inherited", "C=")
	spec.Environment["A"] = "declared"
	w := s.watch(t)
	s.start(t, spec)
	w.exited(t, spec.ID, 1)
	out := s.logs(t, runtime.LogQuery{Service: "env"})
	for _, want := range []string{"A=declared", "B=inherited", "C="} {
		if strings.Count("\n"+out, "\n"+want+"\n") != 1 {
			t.Errorf("%q is not there once:\n%s", want, out)
		}
	}
	if strings.Contains(out, "PLUGIN_") {
		t.Errorf("something of go-plugin's is there:\n%s", out)
	}
}
