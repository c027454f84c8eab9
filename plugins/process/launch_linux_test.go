package process

import (
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func newTestLauncher(t *testing.T) *launcher {
	t.Helper()
	l := newLauncher(slog.New(slog.NewTextHandler(t.Output(), nil)))
	if l == nil {
		t.Skip("needs: close_range(2) and pidfd_getfd(2)")
	}
	t.Cleanup(l.close)
	return l
}

// run launches a shell, and returns what it writes.
func (l *launcher) shell(t *testing.T, script string, more ...uintptr) string {
	t.Helper()
	out, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	attr := &syscall.ProcAttr{Files: append([]uintptr{0, end.Fd(), 2}, more...), Sys: &syscall.SysProcAttr{Setsid: true}}
	pid, err := l.forkExec("/bin/sh", []string{"sh", "-c", script}, attr)
	end.Close()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(out)
	if err != nil {
		t.Error(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || status != 0 {
		t.Errorf("%v, status %d", err, status)
	}
	return strings.TrimSpace(string(text))
}

func TestLaunchedGetsWhatItIsGivenAndNoMore(t *testing.T) {
	l := newTestLauncher(t)
	var many []int
	for range 50 { // not even marked to be closed by exec
		var pipe [2]int
		if err := unix.Pipe2(pipe[:], 0); err != nil {
			t.Fatal(err)
		}
		many = append(many, pipe[:]...)
	}
	defer func() {
		for _, fd := range many {
			unix.Close(fd)
		}
	}()
	// The last one is how the shell looks.
	if got := l.shell(t, "cd /proc/$$/fd && echo *"); got != "0 1 2 3" {
		t.Errorf("it has %s", got)
	}
	if _, err := unix.Write(many[99], []byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	if got := l.shell(t, "read line <&4; echo $line; cd /proc/$$/fd && echo *", 0, uintptr(many[98])); got != "hello\n0 1 2 3 4 5" {
		t.Errorf("it has %s", got)
	}
}

func TestLaunchOfNothing(t *testing.T) {
	l := newTestLauncher(t)
	attr := &syscall.ProcAttr{Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{}}
	if _, err := l.forkExec("/nonexistent", []string{"x"}, attr); err != syscall.ENOENT {
		t.Errorf("no such program: %v", err)
	}
	attr.Files[2] = 1 << 20
	if _, err := l.forkExec("/bin/true", []string{"x"}, attr); err == nil || !strings.Contains(err.Error(), "pidfd_getfd") {
		t.Errorf("no such file: %v", err)
	}
	attr.Files[2], attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = 2, true, int(os.Stdout.Fd())
	if _, err := l.forkExec("/bin/true", []string{"x"}, attr); err == nil {
		t.Error("it is in no cgroup and runs")
	}
}

// TestLauncherLeavesThePollerAlone: whoever begins or ends a collection, or
// sets a timer, may be the one who asks the poller, or wakes it.
func TestLauncherLeavesThePollerAlone(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newTestLauncher(t)
	var work sync.WaitGroup
	defer work.Wait()
	defer listener.Close()
	work.Go(func() { // ends with the listener
		for {
			c, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				return
			}
			c.Close()
		}
	})
	work.Go(func() { // ends with the listener
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	})
	for range 40 {
		// The strings that fork makes of this are the thread's own garbage.
		if got := l.shell(t, "echo "+strings.Repeat("x", 100_000)); len(got) != 100_000 {
			t.Fatalf("%d bytes", len(got))
		}
	}
}

func TestForkWithoutALauncher(t *testing.T) {
	if got := (*launcher)(nil).shell(t, "echo here"); got != "here" {
		t.Error(got)
	}
}
