package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// trace attaches to a process, lets it run, and says so. From its next signal
// on the process stands still.
func trace(pid int) {
	goruntime.LockOSThread() // all of ptrace(2) is between two threads
	if err := syscall.PtraceAttach(pid); err != nil {
		fmt.Println("no ptrace:", err)
		return
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, syscall.WALL, nil); err == nil {
		_ = syscall.PtraceCont(pid, 0)
	}
	fmt.Println("tracing")
	for !status.Exited() && !status.Signaled() {
		if _, err := syscall.Wait4(pid, &status, syscall.WALL, nil); err != nil && err != syscall.EINTR {
			return
		}
	}
}

// untilHalted waits until Inspect says of an instance of id what begins with
// want.
func (b *bench) untilHalted(id runtime.ID, want string) runtime.Inspection {
	b.t.Helper()
	var seen []runtime.Inspection
	for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) { // a compiler may have to run first
		var err error
		if seen, err = b.Inspect(context.Background(), []runtime.ID{id}); err != nil {
			b.t.Fatal(err)
		}
		for _, one := range seen {
			if strings.HasPrefix(one.Halted, want) {
				return one
			}
		}
	}
	b.t.Fatalf("waited in vain for %q, seen %+v", want, seen)
	return runtime.Inspection{}
}

// undisturbed fails when id has news within d. A machine that is too slow for
// them proves less, and does no harm.
func (b *bench) undisturbed(id runtime.ID, d time.Duration) {
	b.t.Helper()
	for limit := time.After(d); ; {
		select {
		case e := <-b.events:
			if e.ID == id && e.Kind == runtime.ExitedEvent {
				b.t.Fatalf("it ended: %+v", e.Exit)
			}
		case <-limit:
			return
		}
	}
}

func TestStoppedIsNotKilledForBeingLate(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("block", tcp, func(s *runtime.Spec) {
		s.Command = []string{"/bin/sh", "-c", `kill -STOP $$; exec sleep 1000`}
		s.ReadyTimeout = 500 * time.Millisecond
		s.Restart = runtime.Restart{Policy: runtime.RestartAlways, Min: time.Millisecond} // should it not get that far in time
	}))
	halted := b.untilHalted(id, "stopped by SIGSTOP")
	b.undisturbed(id, time.Second)
	if err := b.Signal(t.Context(), id, "CONT"); err != nil {
		t.Fatal(err)
	}
	e := b.untilKind(id, runtime.ExitedEvent)
	if e.Instance != halted.Instance || !strings.HasPrefix(e.Exit.Error, "not ready within 500ms") {
		t.Errorf("%s: %+v, want the end of %s", e.Instance, e.Exit, halted.Instance)
	}
}

// SIGSTOP in a child of the first process, as below npm or a shell.
func TestStoppedChildIsSeen(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			b := start(t, Options{DisableCgroups: mode.without}).synced()
			id := b.start(b.spec("", func(s *runtime.Spec) {
				s.Command = []string{"/bin/sh", "-c", `sh -c 'kill -STOP $$; :'; sleep 1000`}
			}))
			b.untilHalted(id, "stopped by a signal")
			b.stop(id, runtime.StopRequest{}) // SIGCONT is for the whole process group
			if s := b.untilFinal(id); s.Phase != runtime.GenerationStopped {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Many are looked at by several goroutines, and told in the order asked for.
func TestInspectOfManyKeepsTheirOrder(t *testing.T) {
	b := start(t, Options{}).synced()
	var ids []runtime.ID
	for range 2*inspectShare + 3 {
		ids = append(ids, b.start(b.spec("", func(s *runtime.Spec) { s.Command = []string{"sleep", "1000"} })))
	}
	stopped := b.start(b.spec("", func(s *runtime.Spec) { s.Command = []string{"/bin/sh", "-c", `kill -STOP $$`} }))
	ids = append(ids, stopped)
	b.untilHalted(stopped, "stopped by SIGSTOP")
	for limit := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		seen, err := b.Inspect(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) < len(ids) && time.Now().Before(limit) {
			continue // not all have been started
		}
		for i, one := range seen {
			if one.Instance.ID != ids[i] || (one.Halted != "") != (ids[i] == stopped) {
				t.Errorf("%d: %+v, want %s", i, one, ids[i])
			}
		}
		if len(seen) != len(ids) {
			t.Errorf("%d of %d", len(seen), len(ids))
		}
		return
	}
}

// A cgroup that says of a process that it is alone has nobody else in it.
func TestAloneInItsCgroup(t *testing.T) {
	dir := t.TempDir() // has as many links as a cgroup, on most file systems
	var info syscall.Stat_t
	if err := syscall.Stat(dir, &info); err != nil || info.Nlink != 2 {
		t.Skip("needs: a file system that counts the links to directories")
	}
	g := &cgroup{dir: dir}
	for _, test := range []struct {
		procs string
		alone bool
	}{{"41\n", true}, {"41\n43\n", false}, {"4\n", false}, {"", false}, {"411\n", false}} {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(test.procs), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := g.alone(41); got != test.alone {
			t.Errorf("%q: %v", test.procs, got)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("41\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if g.alone(41) {
		t.Error("there is a cgroup below")
	}
	if (*cgroup)(nil).alone(41) {
		t.Error("there is no cgroup")
	}
}

// tracer has a service trace pid, and returns that.
func (b *bench) tracer(pid int) runtime.ID {
	b.t.Helper()
	id := b.start(b.spec("trace:" + strconv.Itoa(pid)))
	b.untilKind(id, runtime.StartedEvent)
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		switch text := b.logs.text(id.Service, runtime.StreamStdout); {
		case strings.HasPrefix(text, "tracing"):
			return id
		case text != "":
			b.t.Skip("needs: ptrace of a process that is no child: " + text)
		}
	}
	b.t.Fatal("the tracer says nothing")
	return runtime.ID{}
}

func TestTracedIsNotProbedToDeath(t *testing.T) {
	b := start(t, Options{}).synced()
	healthy := filepath.Join(b.dir, "healthy")
	if err := os.WriteFile(healthy, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	web := b.start(b.spec("block", func(s *runtime.Spec) {
		probe := &runtime.Probe{Kind: runtime.ProbeExec, Command: []string{"/usr/bin/test", "-e", healthy}, Interval: 20 * time.Millisecond, Failures: 2}
		s.Ready, s.Live = probe, probe
	}))
	pid := b.untilKind(web, runtime.StartedEvent).Started.PID
	b.untilReady(web)
	debugger := b.tracer(pid)
	b.untilHalted(web, "traced by process.test (pid ")
	if err := os.Remove(healthy); err != nil {
		t.Fatal(err)
	}
	b.undisturbed(web, 500*time.Millisecond)
	b.stop(debugger, runtime.StopRequest{Kill: true}) // which lets go of it
	if e := b.untilKind(web, runtime.ExitedEvent); !strings.HasPrefix(e.Exit.Error, "liveness probe failed 2 times") {
		t.Errorf("%+v", e.Exit)
	}
}

func TestTracedIsStopped(t *testing.T) {
	b := start(t, Options{}).synced()
	web := b.start(b.spec("", func(s *runtime.Spec) {
		s.Command = []string{"sleep", "1000"} // of one thread: any other would heed the SIGTERM
		s.Stop.Grace = 200 * time.Millisecond
	}))
	pid := b.untilKind(web, runtime.StartedEvent).Started.PID
	b.tracer(pid)
	b.stop(web, runtime.StopRequest{})
	if e := b.untilKind(web, runtime.ExitedEvent); e.Exit.Signal != "SIGKILL" {
		t.Errorf("%+v", e.Exit)
	}
}

// The traced one is a child here.
func TestDelve(t *testing.T) {
	dlv, err := exec.LookPath("dlv")
	if err != nil {
		if dlv, err = filepath.Abs("../../bin/tools/dlv"); err != nil || runnable(dlv, dlv) != nil {
			t.Skip("needs: dlv")
		}
	}
	b := start(t, Options{}).synced()
	source := filepath.Join(b.dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	id := b.start(b.spec("", func(s *runtime.Spec) { // the compiler, too: only a Runtime may have children here
		s.Inherited = os.Environ()
		s.Command = []string{"/bin/sh", "-c", `go build -o program main.go && exec "$0" exec --headless --listen=127.0.0.1:0 ./program`, dlv}
	}))
	pid := b.untilKind(id, runtime.StartedEvent).Started.PID
	if seen := b.untilHalted(id, "traced by "); seen.Halted != fmt.Sprintf("traced by dlv (pid %d)", pid) {
		t.Errorf("%+v, dlv is %d", seen, pid)
	}
	b.stop(id, runtime.StopRequest{})
	if s := b.untilFinal(id); s.Phase != runtime.GenerationStopped {
		t.Errorf("%+v", s)
	}
}
