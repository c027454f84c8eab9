package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

func TestStartIsIdempotent(t *testing.T) {
	b := start(t, Options{}).synced()
	ctx := context.Background()
	s := b.spec("exit:0")
	id := b.start(s)
	b.start(s)
	b.untilFinal(id)
	b.start(s)
	other := s
	other.Environment = map[string]string{"HELPER": "exit:1"}
	if _, err := b.Start(ctx, other); !errors.Is(err, runtime.Conflict) {
		t.Errorf("another spec: %v", err)
	}
	if err := b.Stop(ctx, id, runtime.StopRequest{}); err != nil {
		t.Errorf("stop of an ended one: %v", err)
	}
	if err := b.Forget(ctx, 1<<60); err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(ctx, id, runtime.StopRequest{}); !errors.Is(err, runtime.NotFound) {
		t.Errorf("stop of a forgotten one: %v", err)
	}
	b.start(other)
	b.untilFinal(id)
}

func TestBadSpecs(t *testing.T) {
	b := start(t, Options{}).synced()
	for name, c := range map[string]struct {
		change func(*runtime.Spec)
		class  error
	}{
		"no command":     {func(s *runtime.Spec) { s.Command = nil }, runtime.Invalid},
		"relative dir":   {func(s *runtime.Spec) { s.Dir = "x" }, runtime.Invalid},
		"bad signal":     {func(s *runtime.Spec) { s.Stop.Signal = "BANG" }, runtime.Invalid},
		"unknown port":   {func(s *runtime.Spec) { s.Ready = &runtime.Probe{Kind: runtime.ProbeTCP, Port: "x"} }, runtime.Invalid},
		"unknown probe":  {func(s *runtime.Spec) { s.Ready = &runtime.Probe{Kind: "smoke"} }, runtime.Unsupported},
		"unknown policy": {func(s *runtime.Spec) { s.Restart.Policy = "perhaps" }, runtime.Invalid},
	} {
		_, err := b.Start(context.Background(), b.spec("", c.change))
		if !errors.Is(err, c.class) || runtime.Hint(err) == "" {
			t.Errorf("%s: %v (hint %q)", name, err, runtime.Hint(err))
		}
	}
}

func TestShutdownStopsEverything(t *testing.T) {
	b := start(t, Options{}).synced()
	first := b.start(b.spec("orphan:ignore-term+block block"))
	b.untilReady(first) // before the other: who waits for one event loses those before it
	b.untilReady(b.start(b.spec("listen block", tcp)))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	<-b.Done()
	if pids, err := offspring(); err != nil || len(pids) > 0 {
		t.Errorf("left: %v %v", pids, err)
	}
	if _, err := b.Start(context.Background(), b.spec("")); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("start after shutdown: %v", err)
	}
}

// A crash restart runs the build that its generation was started with.
func TestSnapshotOutlivesTheNextBuild(t *testing.T) {
	b := start(t, Options{}).synced()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(b.dir, "program")
	if err := copyExecutable(program, exe); err != nil {
		t.Fatal(err)
	}
	s := b.spec("listen await:gone exit:1", tcp, func(s *runtime.Spec) {
		s.Command, s.Snapshot = []string{"./program"}, true
		s.Restart = runtime.Restart{Policy: runtime.RestartAlways, Min: time.Millisecond}
	})
	id := b.start(s)
	b.untilReady(id)
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	b.write("gone")
	before := b.untilKind(id, runtime.ExitedEvent)
	after := b.untilKind(id, runtime.StartedEvent)
	if before.Exit.Code != 1 || after.Instance.Attempt != 2 {
		t.Errorf("exit %+v, then attempt %d", before.Exit, after.Instance.Attempt)
	}
	b.stop(id, runtime.StopRequest{Kill: true})
	end := b.until("end", func(e runtime.Event) bool {
		return e.Kind == runtime.GenerationEvent && e.Generation.Phase.Final()
	})
	if err := b.Forget(context.Background(), end.Sequence); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(b.options.Dir, snapshotsName)); len(left) > 0 {
		t.Errorf("snapshots are left: %v", left)
	}
}

func TestPrivatePortStaysTheReplicas(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("listen sleep:30 exit:1", tcp, func(s *runtime.Spec) {
		s.Restart = runtime.Restart{Policy: runtime.RestartAlways, Min: time.Millisecond}
	}))
	first := b.untilKind(id, runtime.StartedEvent).Started.Endpoints["http"]
	second := b.untilKind(id, runtime.StartedEvent).Started.Endpoints["http"]
	if first == "" || first != second {
		t.Errorf("endpoints %q, then %q", first, second)
	}
	b.stop(id, runtime.StopRequest{Kill: true})
	b.untilFinal(id)
}

// The gateway may still send callers to the ports of a generation that has
// ended, until everybody has been told.
func TestPrivatePortsAreKeptUntilForget(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("block", func(s *runtime.Spec) {
		s.Replicas, s.Ports = 3, []runtime.Port{{Name: "http"}, {Name: "grpc"}}
	}))
	var ports []int
	for range 3 {
		for _, endpoint := range b.untilKind(id, runtime.StartedEvent).Started.Endpoints {
			_, number, _ := net.SplitHostPort(endpoint)
			port, _ := strconv.Atoi(number)
			if port < 1024 || port >= firstEphemeral() || slices.Contains(ports, port) {
				t.Errorf("port %d beside %v; the kernel's own begin at %d", port, ports, firstEphemeral())
			}
			ports = append(ports, port)
		}
	}
	b.stop(id, runtime.StopRequest{Kill: true})
	end := b.until("end", func(e runtime.Event) bool {
		return e.Kind == runtime.GenerationEvent && e.Generation.Phase.Final()
	})
	if taken := b.portsTaken(ports); taken != 6 {
		t.Errorf("%d of its ports are not given to others before Forget", taken)
	}
	if err := b.Forget(context.Background(), end.Sequence); err != nil {
		t.Fatal(err)
	}
	if taken := b.portsTaken(ports); taken != 0 {
		t.Errorf("%d of its ports are still its own", taken)
	}
}

// portsTaken counts those that are in use, and do not rest.
func (b *bench) portsTaken(list []int) int {
	b.ports.mu.Lock()
	defer b.ports.mu.Unlock()
	count := 0
	for _, port := range list {
		if had, ok := b.ports.taken[port]; ok && had.until.IsZero() {
			count++
		}
	}
	return count
}

func TestPortsRest(t *testing.T) {
	now := time.Unix(1e9, 0)
	p := newPorts(func() time.Time { return now }, "x")
	p.low, p.high = p.next, p.next
	port, err := p.take(0, "shop/web")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.take(0, "shop/web"); err == nil {
		t.Error("given out twice")
	}
	p.release(port)
	now = now.Add(portRest - 1)
	if _, err := p.take(0, "shop/web"); err == nil {
		t.Error("given out again too early")
	}
	now = now.Add(1)
	if _, err := p.take(0, "shop/web"); err != nil {
		t.Error(err)
	}
}

// TestARestartKeepsItsPortWhenSomebodyHasLookedAtIt: another runtime that had
// bound it, to see whether it is free, had the service move to where no gateway
// looked for it.
func TestARestartKeepsItsPortWhenSomebodyHasLookedAtIt(t *testing.T) {
	p := newPorts(time.Now, "x")
	port, err := p.take(0, "shop/web")
	if err != nil {
		t.Fatal(err)
	}
	looks := 0
	p.free = func(port int) bool {
		looks++
		return looks > 3
	}
	if again, err := p.take(port, "shop/web"); again != port || err != nil {
		t.Errorf("port %d, and then %d, %v", port, again, err)
	}
}

// receive reads a session until want was seen or it ended.
func receive(t *testing.T, s runtime.Session, want string) (string, *runtime.Exit) {
	t.Helper()
	var text bytes.Buffer
	for want == "" || !strings.Contains(text.String(), want) {
		out, err := s.Receive()
		if errors.Is(err, io.EOF) {
			t.Fatalf("ended with %q before %q", text.String(), want)
		}
		if err != nil {
			t.Fatal(err)
		}
		text.Write(out.Data)
		if out.Exit != nil {
			return text.String(), out.Exit
		}
	}
	return text.String(), nil
}

func TestAttach(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("print:prompt size echo", func(s *runtime.Spec) { s.Terminal = true }))
	b.untilReady(id)
	attach := func() runtime.Session {
		s, err := b.Terminal(context.Background(), runtime.TerminalRequest{Attach: &runtime.InstanceID{ID: id}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := attach()
	receive(t, first, "80x24")
	second := attach()
	receive(t, second, "prompt")
	if err := first.Send(runtime.TerminalInput{Data: []byte("hello\n"), Resize: &runtime.Size{Columns: 100, Rows: 30}}); err != nil {
		t.Fatal(err)
	}
	receive(t, first, "got hello")
	receive(t, second, "got hello")
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("receive after close: %v", err)
	}
	b.stop(id, runtime.StopRequest{Kill: true})
	if _, exit := receive(t, first, ""); exit.Signal != "SIGKILL" {
		t.Errorf("exit %+v", exit)
	}
	if _, err := first.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("receive after the exit: %v", err)
	}
	b.untilFinal(id)
	if got := b.logs.text(id.Service, runtime.StreamTerminal); !strings.Contains(got, "got hello") {
		t.Errorf("log %q", got)
	}
}

func TestRunBesideAService(t *testing.T) {
	b := start(t, Options{}).synced()
	for _, terminal := range []bool{false, true} {
		s := b.spec("write:20000 exit:5", func(s *runtime.Spec) { s.Terminal = terminal })
		session, err := b.Terminal(context.Background(), runtime.TerminalRequest{Run: &s})
		if err != nil {
			t.Fatal(err)
		}
		text, exit := receive(t, session, "")
		if n := strings.Count(text, "\n"); n != 20000 || exit.Code != 5 {
			t.Errorf("terminal %t: %d lines, exit %+v", terminal, n, exit)
		}
		session.Close()
	}
	file := filepath.Join(b.dir, "pid")
	s := b.spec("echo orphan:ignore-term+note:" + file + "+block block")
	session, err := b.Terminal(context.Background(), runtime.TerminalRequest{Run: &s})
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Send(runtime.TerminalInput{Data: []byte("x\n"), EOF: true}); err != nil {
		t.Fatal(err)
	}
	receive(t, session, "got x")
	pid := b.pid(file)
	session.Close()
	if alive(pid) {
		t.Errorf("process %d still runs", pid)
	}
}

func TestPipeSignalIsDefaultInServices(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("", func(s *runtime.Spec) {
		s.Command = []string{"/bin/sh", "-c", "kill -PIPE $$; exit 7"}
	}))
	if e := b.untilKind(id, runtime.ExitedEvent); e.Exit.Signal != "SIGPIPE" {
		t.Errorf("exit %+v", e.Exit)
	}
	b.untilFinal(id)
}

// BenchmarkStart is Start to Ready to the verified end, beside the bare fork,
// exec and wait that no runtime can do without.
func BenchmarkStart(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, mode := range modes {
		b.Run(mode.name, func(b *testing.B) {
			r, err := New(Options{Dir: b.TempDir(), Nonce: "bench-" + mode.name, Logs: newFakeLogs(), DisableCgroups: mode.without})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			ended := make(chan uint64, 1)
			watched := make(chan error, 1)
			go func() {
				watched <- r.Watch(ctx, func(e runtime.Event) error {
					if e.Kind == runtime.GenerationEvent && e.Generation.Phase.Final() {
						ended <- e.Sequence
					}
					return nil
				})
			}()
			spec := runtime.Spec{ID: runtime.ID{Service: "s"}, Command: []string{"/bin/true"}, Dir: "/", Replicas: 1}
			for b.Loop() {
				spec.ID.Number++
				if _, err := r.Start(ctx, spec); err != nil {
					b.Fatal(err)
				}
				if err := r.Forget(ctx, <-ended); err != nil {
					b.Fatal(err)
				}
			}
			cancel()
			<-watched
		})
	}
}

// A process that is forked while a port is tried must not hold it open: of
// many services that were started at once, one in a hundred found its private
// port taken.
func TestTriedPortsAreNotHeldByForks(t *testing.T) {
	forked := make(chan struct{})
	go func() { // ends after so many forks
		defer close(forked)
		for range 200 {
			pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{})
			if err == nil {
				_, _ = syscall.Wait4(pid, nil, 0, nil)
			}
		}
	}()
	p := newPorts(time.Now, t.Name())
	for {
		select {
		case <-forked:
			return
		default:
		}
		port, err := p.take(0, "shop/web")
		if err != nil {
			t.Fatal(err)
		}
		if taken(t.Context(), port) {
			t.Errorf("port %d is taken just after it was free", port)
		}
		p.release(port)
		delete(p.taken, port)
	}
}

// What a start needs of a stack is given back: a thousand idle services keep a
// goroutine for each of their pipes, and no more.
func TestIdleInstancesHaveGoroutinesForOutputOnly(t *testing.T) {
	const services = 20
	b := start(t, Options{}).synced()
	before := goruntime.NumGoroutine()
	for range services {
		b.untilReady(b.start(b.spec("", func(s *runtime.Spec) {
			s.Command, s.Ready = []string{"/bin/sh", "-c", "echo up; exec sleep 1000"}, &runtime.Probe{Kind: runtime.ProbeLog, Text: "up"}
		})))
	}
	var more int
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		if more = goruntime.NumGoroutine() - before; more <= 2*services {
			return
		}
	}
	t.Errorf("%d goroutines more with %d services", more, services)
}
