// Package conformance is the suite that every runtime passes, in process and
// carried by runtime/plugin to another process.
//
// A test calls Run with a Harness that makes fresh runtimes. The services that
// the suite runs are one small program, the test binary itself; so its TestMain
// is os.Exit(conformance.Main(m)).
//
// The cases run in parallel, each with a runtime of its own, and each ends with
// a Shutdown and a look whether every process that was reported is gone.
package conformance

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// Harness says how to get at the runtime under test.
type Harness struct {
	New func(t *testing.T) Instance

	// Processes: it runs real ones. Without it the cases about the contract
	// alone are run, and a service is what Command says.
	Processes bool

	// Served: it is in a process of its own, Instance.Dir and, with Processes,
	// Instance.Kill are set. Without it nobody can die alone.
	Served bool

	// Serial: one instance at a time, as no two can live in one process.
	Serial bool

	// OneWay: what lies between Connect and a service carries no half-close,
	// and ends a connection of which either end has closed its side.
	OneWay bool

	// OthersLogs: somebody else keeps the logs. Stdout and stderr are one
	// there, positions have holes, and of an instance that was restarted often
	// only the last runs are left.
	OthersLogs bool

	// Elsewhere: its processes are not of this machine, so their numbers say
	// nothing, and what there is of them the suite knows by events alone.
	Elsewhere bool

	// Patience is how long anything may take; 0: 20 s.
	Patience time.Duration

	// Adapt makes a service of the suite one for this runtime. Spec.Dir is a
	// directory in which the suite and its services leave each other files.
	Adapt func(t *testing.T, spec *runtime.Spec)

	// Refused are cases whose specs the runtime refuses as Unsupported, by name:
	// it cannot do what they ask for.
	Refused []string

	// BackOff is how long a runtime waits before its restarts when it does not
	// heed the spec's: the first, the second, and so on. Nil: it does.
	BackOff []time.Duration

	// ExitsKept is how many exits of a generation the runtime tells one by one
	// (journal.New). 0: as the contract says.
	ExitsKept int

	// Command expresses a service of the suite, such as {"exit", "3"} (see
	// service.go), as argv. Nil: the test binary.
	Command func(args ...string) []string
}

// Instance is a fresh runtime.
type Instance struct {
	Runtime runtime.Runtime

	// Dir is set when Runtime is a client of a runtime in another process: the
	// directory to attach to.
	Dir string

	// Kill ends the runtime by SIGKILL, starts another on what it left and
	// returns that. Nil: this cannot be done here. With Elsewhere, services go
	// on meanwhile.
	Kill func(t *testing.T) runtime.Runtime
}

// patience is how long anything may take on a machine with other things to do.
var patience = 20 * time.Second

// suite is one case at work.
type suite struct {
	h    Harness
	t    *testing.T
	in   Instance
	rt   runtime.Runtime
	temp string
	seen *pids
}

// pids of all instances that were started.
type pids struct {
	mu   sync.Mutex
	list []int
}

func (p *pids) add(pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, pid)
}

func (p *pids) all() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list)
}

type testCase struct {
	name      string
	run       func(t *testing.T, s *suite)
	processes bool   // needs Harness.Processes
	served    bool   // needs Harness.Served
	needs     string // a capability: where it is missing, its calls are refused
}

// Run runs all cases that h allows.
func Run(t *testing.T, h Harness) {
	all := slices.Concat(startCases, eventCases, restartCases, readyCases, stopCases, socketCases, haltCases, logCases, terminalCases, connectCases, statsCases, survivalCases)
	if h.Patience > 0 {
		patience = h.Patience
	}
	for _, c := range all {
		if c.processes && !h.Processes || c.served && !h.Served {
			continue // nothing that this runtime promises
		}
		t.Run(c.name, func(t *testing.T) {
			if !h.Serial {
				t.Parallel()
			}
			in := h.New(t)
			s := &suite{h: h, in: in, t: t, rt: in.Runtime, temp: t.TempDir(), seen: new(pids)}
			t.Cleanup(func() { s.end(t) })
			if c.needs != "" && !s.can(t, c.needs) {
				s.lacks(t, c.needs)
				return
			}
			c.run(t, s)
		})
	}
}

// end shuts the runtime down and looks what is left.
func (s *suite) end(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.rt.Shutdown(ctx); err != nil && runtime.Class(err) != runtime.Unavailable {
		t.Errorf("shutdown: %v", err)
	}
	if s.h.Processes {
		for _, pid := range s.seen.all() {
			if !s.gone(pid) {
				t.Errorf("process %d is left behind", pid)
			}
		}
	}
}

// can reports whether the runtime has a capability.
func (s *suite) can(t *testing.T, capability string) bool {
	d, err := s.rt.Describe(t.Context(), runtime.ContractVersion)
	if err != nil {
		t.Fatalf("describe: %v", err)
	}
	return slices.Contains(d.Capabilities, capability)
}

// lacks: what a runtime does not claim to do, it refuses as Unsupported.
func (s *suite) lacks(t *testing.T, capability string) {
	id := s.spec("web", "run").ID
	var err error
	switch capability {
	case runtime.CapabilitySockets:
		_, err = s.rt.Listen(t.Context(), []runtime.Socket{{Name: "web", Address: "127.0.0.1:0"}})
		wantClass(t, "signal", s.rt.Signal(t.Context(), id, "HUP"), runtime.Unsupported)
	case runtime.CapabilityReserve:
		_, err = s.rt.Listen(t.Context(), []runtime.Socket{{Name: "web", Address: "127.0.0.1:0", Reserve: true}})
	case runtime.CapabilityInspect:
		_, err = s.rt.Inspect(t.Context(), []runtime.ID{id})
	case runtime.CapabilityConnect:
		_, err = s.rt.Connect(t.Context(), runtime.ConnectRequest{ID: id, Port: "tcp"})
	case runtime.CapabilityStats:
		err = s.rt.Stats(t.Context(), time.Second, func([]runtime.Stat) error { return nil })
	case runtime.CapabilityTerminal:
		_, err = s.rt.Terminal(t.Context(), runtime.TerminalRequest{Attach: &runtime.InstanceID{ID: id, Attempt: 1}})
	default:
		t.Fatalf("nobody knows what calls %s is about", capability)
	}
	wantClass(t, capability+", which it does not claim", err, runtime.Unsupported)
}

// refused reports whether this case's specs are ones that the runtime cannot
// do; then it has shown that it says so.
func (s *suite) refused(t *testing.T, spec runtime.Spec) bool {
	t.Helper()
	_, name, _ := strings.Cut(t.Name(), "/")
	if !slices.Contains(s.h.Refused, name) {
		return false
	}
	_, err := s.rt.Start(t.Context(), spec)
	wantClass(t, "start of what it cannot do", err, runtime.Unsupported)
	if runtime.Hint(err) == "" {
		t.Errorf("no way out is named: %v", err)
	}
	return true
}

// gone reports whether a process has ended.
func gone(pid int) bool { return syscall.Kill(pid, 0) != nil }

// gone reports whether a process has ended, as far as this machine knows it.
func (s *suite) gone(pid int) bool { return s.h.Elsewhere || gone(pid) }

// spec is a service of the suite.
func (s *suite) spec(service string, args ...string) runtime.Spec {
	spec := runtime.Spec{
		ID:          runtime.ID{Environment: "local", Project: "conformance", Service: service, Number: 1},
		Command:     s.command(args...),
		Dir:         s.temp,
		Environment: map[string]string{serviceVariable: "service", "GORACE": "atexit_sleep_ms=0"},
		Inherited:   []string{"PATH=" + cmp.Or(os.Getenv("PATH"), "/usr/bin:/bin")},
		Replicas:    1,
		Restart:     runtime.Restart{Policy: runtime.RestartNo},
		Stop:        runtime.Stop{Signal: "TERM", Grace: patience / 2},
	}
	if s.h.Adapt != nil {
		s.h.Adapt(s.t, &spec)
	}
	return spec
}

func (s *suite) command(args ...string) []string {
	if s.h.Command != nil {
		return s.h.Command(args...)
	}
	path, err := os.Executable()
	if err != nil {
		panic(err) // cannot happen where tests run
	}
	return append([]string{path}, args...)
}

// file is a path that no other case uses.
func (s *suite) file(name string) string { return filepath.Join(s.temp, name) }

func (s *suite) start(t *testing.T, spec runtime.Spec) {
	t.Helper()
	if _, err := s.rt.Start(t.Context(), spec); err != nil {
		t.Fatalf("start: %v", err)
	}
}

func (s *suite) stop(t *testing.T, id runtime.ID, how runtime.StopRequest) {
	t.Helper()
	if err := s.rt.Stop(t.Context(), id, how); err != nil {
		t.Fatalf("stop: %v", err)
	}
}

// wantClass fails unless err is of the class.
func wantClass(t *testing.T, what string, err, class error) {
	t.Helper()
	if got := runtime.Class(err); got != class {
		t.Errorf("%s: error %v is of class %v, want %v", what, err, got, class)
	}
}
