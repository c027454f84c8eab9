package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// bench is a Runtime with somebody who watches. Its tests run one after the
// other: there may be one Runtime in a process.
type bench struct {
	*Runtime
	t      *testing.T
	logs   *fakeLogs
	dir    string
	events chan runtime.Event
}

var modes = []struct {
	name    string
	without bool
}{{"cgroup", false}, {"marks", true}}

func start(t *testing.T, o Options) *bench {
	t.Helper()
	b := &bench{t: t, logs: newFakeLogs(), dir: t.TempDir(), events: make(chan runtime.Event, 10000)}
	if o.Dir == "" {
		o.Dir = filepath.Join(b.dir, "runtime")
	}
	if o.Nonce == "" {
		o.Nonce = fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())
	}
	o.Logs, o.Log = b.logs, slog.New(slog.NewTextHandler(t.Output(), nil))
	var err error
	if b.Runtime, err = New(o); err != nil {
		t.Fatal(err)
	}
	watched := make(chan error, 1)
	go func() {
		watched <- b.Watch(context.Background(), func(e runtime.Event) error { b.events <- e; return nil })
	}()
	t.Cleanup(func() {
		b.Close()
		if err := <-watched; !errors.Is(err, runtime.Unavailable) {
			t.Errorf("watch ended with %v", err)
		}
		if b.logs.open != 0 {
			t.Errorf("%d log writers are still open", b.logs.open)
		}
		if pids, _ := offspring(); len(pids) > 0 {
			t.Errorf("children are left: %v", pids)
		}
	})
	return b
}

// spine is a runtime in a process of its own, to be killed.
func spine(dir string) {
	r, err := New(Options{
		Dir: filepath.Join(dir, "runtime"), Nonce: "old-" + fmt.Sprint(os.Getpid()), Logs: newFakeLogs(),
		DisableCgroups: os.Getenv("WITHOUT") == "true",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	exe, _ := os.Executable()
	for i, script := range []string{"note:" + dir + "/plain block", "orphan:ignore-term+note:" + dir + "/hidden+block block", "exit:4"} {
		_, err := r.Start(context.Background(), runtime.Spec{
			ID:      runtime.ID{Environment: "local", Project: "p", Service: fmt.Sprint("s", i), Number: 7},
			Command: []string{exe}, Dir: dir, Replicas: 1, Environment: map[string]string{"HELPER": script},
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	block()
}

var number uint64

func (b *bench) spec(script string, changes ...func(*runtime.Spec)) runtime.Spec {
	number++
	exe, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	s := runtime.Spec{
		ID:      runtime.ID{Environment: "local", Project: "p", Service: "s" + strconv.FormatUint(number, 10), Number: 1},
		Command: []string{exe}, Dir: b.dir, Replicas: 1, Environment: map[string]string{"HELPER": script, "GORACE": "atexit_sleep_ms=0"},
		Restart: runtime.Restart{Policy: runtime.RestartNo}, Stop: runtime.Stop{Grace: 5 * time.Second},
	}
	for _, change := range changes {
		change(&s)
	}
	return s
}

func (b *bench) start(s runtime.Spec) runtime.ID {
	b.t.Helper()
	if _, err := b.Start(context.Background(), s); err != nil {
		b.t.Fatal(err)
	}
	return s.ID
}

// synced waits for the end of the present, so that what comes is in order.
func (b *bench) synced() *bench {
	b.t.Helper()
	b.until("synced", func(e runtime.Event) bool { return e.Kind == runtime.SyncedEvent })
	return b
}

// until returns the next event for which is holds.
func (b *bench) until(what string, is func(runtime.Event) bool) runtime.Event {
	b.t.Helper()
	limit := time.After(30 * time.Second) // to end a hang; no measure of speed
	var skipped []string
	for {
		select {
		case e := <-b.events:
			if is(e) {
				return e
			}
			skipped = append(skipped, fmt.Sprintf("%s kind %d %+v %+v %+v", e.ID, e.Kind, e.Generation, e.Ready, e.Exit))
		case <-limit:
			b.t.Fatalf("waited in vain for: %s; there were:\n%s", what, strings.Join(skipped, "\n"))
		}
	}
}

func (b *bench) untilKind(id runtime.ID, kind runtime.EventKind) runtime.Event {
	b.t.Helper()
	return b.until(fmt.Sprint("kind ", kind), func(e runtime.Event) bool { return e.ID == id && e.Kind == kind })
}

func (b *bench) untilReady(id runtime.ID) {
	b.t.Helper()
	b.until("ready", func(e runtime.Event) bool {
		return e.ID == id && e.Kind == runtime.ReadyEvent && e.Ready.Ready
	})
}

func (b *bench) untilFinal(id runtime.ID) runtime.GenerationStatus {
	b.t.Helper()
	return *b.until("final", func(e runtime.Event) bool {
		return e.ID == id && e.Kind == runtime.GenerationEvent && e.Generation.Phase.Final()
	}).Generation
}

func (b *bench) stop(id runtime.ID, how runtime.StopRequest) {
	b.t.Helper()
	if err := b.Stop(context.Background(), id, how); err != nil {
		b.t.Fatal(err)
	}
}

// file waits for a pid that a helper notes in a file.
func (b *bench) pid(path string) int {
	b.t.Helper()
	for range 6000 {
		text, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			return pid
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.t.Fatalf("no pid in %s", path)
	return 0
}

// write makes a file that a service awaits.
func (b *bench) write(name string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), nil, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func alive(pid int) bool {
	return syscall.Kill(pid, 0) == nil
}

func tcp(s *runtime.Spec) {
	s.Ports = []runtime.Port{{Name: "http", Protocol: "tcp"}}
	s.Ready = &runtime.Probe{Kind: runtime.ProbeTCP, Port: "http"}
}

func TestOneShot(t *testing.T) {
	b := start(t, Options{Environment: map[string]string{"STEAD_X": "y"}}).synced()
	id := b.start(b.spec("print:hello complain:trouble env:STEAD_X env:STEAD_ID blocking exit:0"))
	var kinds []runtime.EventKind
	var sequence uint64
	b.until("completed", func(e runtime.Event) bool {
		if e.ID != id {
			return false
		}
		if e.Sequence <= sequence {
			t.Errorf("sequence %d after %d", e.Sequence, sequence)
		}
		sequence = e.Sequence
		kinds = append(kinds, e.Kind)
		return e.Kind == runtime.GenerationEvent && e.Generation.Phase == runtime.GenerationCompleted
	})
	want := "[1 2 3 4 1]"
	if got := fmt.Sprint(kinds); got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	wantOut := "hello\nSTEAD_X=y\nSTEAD_ID=" + id.String() + "/0/1\ntrue true\n"
	if got := b.logs.text(id.Service, runtime.StreamStdout); got != wantOut {
		t.Errorf("stdout %q, want %q", got, wantOut)
	}
	if got := b.logs.text(id.Service, runtime.StreamStderr); got != "trouble\n" {
		t.Errorf("stderr %q", got)
	}
}

func TestExits(t *testing.T) {
	b := start(t, Options{}).synced()
	for _, c := range []struct {
		script string
		exit   runtime.Exit
		phase  runtime.GenerationPhase
		reason string
	}{
		{"exit:0", runtime.Exit{Ready: true}, runtime.GenerationCompleted, ""},
		{"exit:3", runtime.Exit{Code: 3, Ready: true}, runtime.GenerationFailed, "exit code 3"},
	} {
		id := b.start(b.spec(c.script))
		if e := b.untilKind(id, runtime.ExitedEvent); *e.Exit != c.exit {
			t.Errorf("%s: exit %+v, want %+v", c.script, *e.Exit, c.exit)
		}
		if s := b.untilFinal(id); s.Phase != c.phase || s.Reason != c.reason {
			t.Errorf("%s: phase %d (%s), want %d (%s)", c.script, s.Phase, s.Reason, c.phase, c.reason)
		}
	}
}

func TestProbes(t *testing.T) {
	b := start(t, Options{}).synced()
	for _, c := range []struct {
		name, script string
		change       func(*runtime.Spec)
	}{
		{"tcp", "listen block", tcp},
		{"tcp on ::1", "listen6 block", tcp},
		{"http", "http:503,503,302 block", func(s *runtime.Spec) {
			tcp(s)
			s.Ready = &runtime.Probe{Kind: runtime.ProbeHTTP, Port: "http", Path: "/healthz"}
		}},
		{"exec", "sleep:50 note:ready block", func(s *runtime.Spec) {
			s.Ready = &runtime.Probe{Kind: runtime.ProbeExec, Command: []string{"/bin/sh", "-c", "test -s ready"}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
				l.Close()
			} else if strings.HasPrefix(c.script, "listen6") {
				t.Skip("needs: IPv6")
			}
			id := b.start(b.spec(c.script, c.change))
			started := b.untilKind(id, runtime.StartedEvent)
			if c.name != "exec" && !strings.HasPrefix(started.Started.Endpoints["http"], "127.0.0.1:") {
				t.Errorf("endpoints %v", started.Started.Endpoints)
			}
			b.untilReady(id)
			b.stop(id, runtime.StopRequest{})
			if e := b.untilKind(id, runtime.ExitedEvent); !e.Exit.Ready || e.Exit.Signal != "SIGTERM" && e.Exit.Code != 2 {
				t.Errorf("exit %+v", e.Exit)
			}
			if s := b.untilFinal(id); s.Phase != runtime.GenerationStopped {
				t.Errorf("phase %d", s.Phase)
			}
		})
	}
}

func TestReadyTimeoutSaysWhatTheProbeSaw(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("child:block block", tcp, func(s *runtime.Spec) { s.ReadyTimeout = time.Second }))
	e := b.untilKind(id, runtime.ExitedEvent)
	if want := "not ready within 1s: connection refused on 127.0.0.1:"; !strings.HasPrefix(e.Exit.Error, want) {
		t.Errorf("error %q, want %q…", e.Exit.Error, want)
	}
	if s := b.untilFinal(id); s.Phase != runtime.GenerationFailed || !strings.HasPrefix(s.Reason, "not ready within") {
		t.Errorf("status %+v", s)
	}
}

func TestRestartsUntilTheLimit(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("child:ignore-term+block exit:3", func(s *runtime.Spec) {
		s.Restart = runtime.Restart{Policy: runtime.RestartOnFailure, Min: time.Millisecond, Limit: 3, Window: time.Minute}
	}))
	for attempt := 1; attempt <= 4; attempt++ {
		e := b.untilKind(id, runtime.ExitedEvent)
		if e.Instance.Attempt != attempt || e.Exit.Code != 3 {
			t.Errorf("exit of attempt %d: %+v", e.Instance.Attempt, e.Exit)
		}
	}
	s := b.untilFinal(id)
	if want := "ended 4 times within 1m0s (limit 3), last: exit code 3"; !strings.HasPrefix(s.Reason, want) || s.Restarts != 3 {
		t.Errorf("%d restarts, %q; want 3, %q", s.Restarts, s.Reason, want)
	}
}

func TestStartFailures(t *testing.T) {
	b := start(t, Options{}).synced()
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("plain", "", 0o600)
	write("garbage", "no program\x00", 0o700)
	write("script", "#!/no/such/shell\n", 0o700)
	for _, c := range []struct {
		command, dir, want string
	}{
		{"no-such-thing", b.dir, `command "no-such-thing" not found in PATH (/bin:/usr/bin)`},
		{"bin/web", b.dir, "bin/web: no such file (built?)"},
		{"./plain", b.dir, "permission denied: ./plain is not executable"},
		{"./garbage", b.dir, "exec format error: ./garbage is not a program for"},
		{"./script", b.dir, "./script: its interpreter /no/such/shell does not exist"},
		{"sh", "/no/such/place", "working directory /no/such/place does not exist"},
	} {
		id := b.start(b.spec("", func(s *runtime.Spec) {
			s.Command, s.Dir = []string{c.command}, c.dir
			s.Environment["PATH"] = "/bin:/usr/bin"
		}))
		e := b.until("exit", func(e runtime.Event) bool {
			if e.ID == id && (e.Kind == runtime.StartedEvent || e.Kind == runtime.ReadyEvent) {
				t.Errorf("%s: started", c.command)
			}
			return e.ID == id && e.Kind == runtime.ExitedEvent
		})
		if !strings.HasPrefix(e.Exit.Error, c.want) || e.Exit.Code != -1 {
			t.Errorf("%s: %+v, want %q", c.command, *e.Exit, c.want)
		}
		if s := b.untilFinal(id); s.Phase != runtime.GenerationFailed || s.Reason != e.Exit.Error {
			t.Errorf("%s: %+v", c.command, s)
		}
	}
}

func TestSomebodyElsesPort(t *testing.T) {
	b := start(t, Options{}).synced()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	id := b.start(b.spec("block", tcp, func(s *runtime.Spec) { s.Ports[0].Number = port }))
	e := b.untilKind(id, runtime.ExitedEvent)
	want := fmt.Sprintf("port %d is already taken by pid %d (process.test)", port, os.Getpid())
	if e.Exit.Error != want {
		t.Errorf("error %q, want %q", e.Exit.Error, want)
	}
}

// Whatever a service leaves behind is gone after its end, however it hid.
func TestWholeTreeEnds(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			b := start(t, Options{DisableCgroups: mode.without}).synced()
			for _, c := range []struct {
				name, script string
				how          runtime.StopRequest
				exits        bool
				signal       string
			}{
				{"ignores TERM", "ignore-term note:FILE block", runtime.StopRequest{Grace: 50 * time.Millisecond}, false, "SIGKILL"},
				{"child ignores TERM", "child:ignore-term+note:FILE+block block", runtime.StopRequest{}, false, ""},
				{"double fork, setsid, no environment, ignores TERM", "orphan:ignore-term+note:FILE+block block", runtime.StopRequest{}, false, ""},
				{"the same, killed", "orphan:ignore-term+note:FILE+block block", runtime.StopRequest{Kill: true}, false, "SIGKILL"},
				{"forks and exits", "orphan:ignore-term+note:FILE+block await:FILE", runtime.StopRequest{}, true, ""},
			} {
				t.Run(c.name, func(t *testing.T) {
					file := filepath.Join(t.TempDir(), "pid")
					id := b.start(b.spec(strings.ReplaceAll(c.script, "FILE", file)))
					b.untilReady(id)
					pid := b.pid(file)
					if !c.exits {
						b.stop(id, c.how)
					}
					e := b.untilKind(id, runtime.ExitedEvent)
					if alive(pid) {
						t.Errorf("process %d still runs", pid)
					}
					if e.Exit.Leftovers == 0 && !strings.HasPrefix(c.name, "ignores") {
						t.Errorf("leftovers are not counted: %+v", e.Exit)
					}
					if c.signal != "" && e.Exit.Signal != c.signal {
						t.Errorf("exit %+v", e.Exit)
					}
					b.untilFinal(id)
				})
			}
		})
	}
}
