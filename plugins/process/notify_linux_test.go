package process

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

// notify sends a message as sd_notify does.
func notify(message string, files ...int) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var control []byte
	if len(files) > 0 {
		control = unix.UnixRights(files...)
	}
	return unix.Sendmsg(fd, []byte(message), control, &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}, 0)
}

func notifyProbe(s *runtime.Spec) { s.Ready = &runtime.Probe{Kind: runtime.ProbeNotify} }

func TestNotify(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("notify:STATUS=warming+up await:warm notify:READY=1;STATUS=serving+3 await:busy notify:STATUS=serving+4 block", notifyProbe))
	b.untilReadiness(id, false, "no READY=1 from it yet; it says: warming up")
	b.write("warm")
	b.untilReadiness(id, true, "serving 3")
	b.write("busy")
	b.untilReadiness(id, true, "serving 4")
	b.stop(id, runtime.StopRequest{})
	b.untilFinal(id)
	if left, _ := os.ReadDir(filepath.Join(b.options.Dir, noticesName)); len(left) > 0 {
		t.Errorf("sockets are left: %v", left)
	}
}

// A process in a session of its own, without environment, belongs to it too.
func TestNotifyByAChild(t *testing.T) {
	for _, mode := range modes {
		b := start(t, Options{DisableCgroups: mode.without}).synced()
		id := b.start(b.spec("child:notify:READY=1;STATUS=child+sleep:1000 block", notifyProbe))
		b.untilReadiness(id, true, "child")
		b.stop(id, runtime.StopRequest{})
		b.untilFinal(id)
		b.Close()
	}
}

func TestNotifyByAStranger(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("env:NOTIFY_SOCKET block", notifyProbe))
	b.untilKind(id, runtime.StartedEvent)
	socket := ""
	for range 1000 {
		if _, socket, _ = strings.Cut(strings.TrimSpace(b.logs.text(id.Service, runtime.StreamStdout)), "="); socket != "" {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("READY=1")); err != nil {
		t.Fatal(err)
	}
	other := b.start(b.spec("notify:READY=1 block", func(s *runtime.Spec) { s.Environment["NOTIFY_SOCKET"] = socket }))
	b.untilReadiness(id, false, "which is not of this instance")
	b.stop(id, runtime.StopRequest{})
	b.untilFinal(id)
	b.stop(other, runtime.StopRequest{})
	b.untilFinal(other)
}

// Messages without sense or measure change nothing but the reason.
func TestNotifyOfGarbage(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("notify-garbage notify:READY=1 block", notifyProbe))
	b.untilReady(id)
	b.stop(id, runtime.StopRequest{})
	b.untilFinal(id)
	fds, _ := os.ReadDir("/proc/self/fd")
	if len(fds) > 60 {
		t.Errorf("%d descriptors are open", len(fds))
	}
}

func TestWatchdog(t *testing.T) {
	b := start(t, Options{}).synced()
	watched := func(s *runtime.Spec) {
		s.Live = &runtime.Probe{Kind: runtime.ProbeNotify, Interval: 300 * time.Millisecond, Failures: 2}
	}
	id := b.start(b.spec("env:WATCHDOG_USEC notify:WATCHDOG=1 sleep:200 notify:WATCHDOG=1 sleep:200 notify:WATCHDOG=1 notify:STOPPING=1 block", watched))
	e := b.untilKind(id, runtime.ExitedEvent)
	if want := "liveness probe failed 2 times: no WATCHDOG=1 from it within 300ms"; e.Exit.Error != want {
		t.Errorf("%q, want %q", e.Exit.Error, want)
	}
	if out := b.logs.text(id.Service, runtime.StreamStdout); out != "WATCHDOG_USEC=300000\n" {
		t.Errorf("%q", out)
	}
	b.untilFinal(id)
	id = b.start(b.spec("notify:WATCHDOG=trigger block", watched, func(s *runtime.Spec) { s.Live.Interval = time.Hour }))
	if e := b.untilKind(id, runtime.ExitedEvent); !strings.Contains(e.Exit.Error, "WATCHDOG=trigger") {
		t.Errorf("%+v", *e.Exit)
	}
	b.untilFinal(id)
}

// Where the path of a socket would be too long it has none.
func TestNotifySocketInADeepDirectory(t *testing.T) {
	deep := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	b := start(t, Options{Dir: deep}).synced()
	id := b.start(b.spec("notify:READY=1 block", notifyProbe))
	b.untilReady(id)
	b.stop(id, runtime.StopRequest{})
	b.untilFinal(id)
}

// The user's own socket, or the daemon's under systemd, is not for services.
func TestNotifySocketIsNotInherited(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("env:NOTIFY_SOCKET env:WATCHDOG_PID exit:0", func(s *runtime.Spec) {
		s.Inherited = []string{"NOTIFY_SOCKET=/run/systemd/notify", "WATCHDOG_PID=1"}
	}))
	b.untilFinal(id)
	if out := b.logs.text(id.Service, runtime.StreamStdout); out != "NOTIFY_SOCKET=\nWATCHDOG_PID=\n" {
		t.Errorf("%q", out)
	}
}

// garbage is what a hostile service sends.
func garbage() {
	null, err := os.Open(os.DevNull)
	if err != nil {
		panic(err)
	}
	files := make([]int, 200)
	for i := range files {
		files[i] = int(null.Fd())
	}
	for _, message := range []string{"", "\x00", "=", "READY", "READY=0", "READY=2", "\xff\xfe=1\n\n\n", "STATUS=\x1b[31m" + strings.Repeat("x", 3000)} {
		_ = notify(message)
		_ = notify(message, files...)
	}
	_ = notify("READY=1\n" + strings.Repeat("x", 100_000)) // too long: not heeded
	for range 300 {
		_ = notify("STATUS=flood")
	}
}
