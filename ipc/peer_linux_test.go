package ipc_test

import (
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/ipc/steadpb"
)

// TestAnotherUserIsTurnedAway opens the modes that keep others out, so that
// only the check of credentials is left. Needs root, to be somebody else.
func TestAnotherUserIsTurnedAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	// The server's own user is root here, so nobody (65534) is another one.
	s := serve(t, ipctest.New(ipctest.Shop()))
	must(t, os.Chmod(filepath.Dir(s.socket), 0o755))
	must(t, os.Chmod(s.socket, 0o666))
	read := make(chan string, 1)
	go func() {
		// Linux has credentials per thread: this one changes its own, and is
		// thrown away with the goroutine, which never unlocks it.
		goruntime.LockOSThread()
		read <- readAs(65534, s.socket)
	}()
	if got := <-read; got != "eof" {
		t.Errorf("nobody got %q", got)
	}
	if _, err := s.Version(t.Context(), &steadpb.VersionRequest{}); err != nil {
		t.Errorf("the owner afterwards: %v", err)
	}
	if log := s.log.String(); !strings.Contains(log, "another user") || !strings.Contains(log, "uid=65534") {
		t.Errorf("log %q", log)
	}
}

func readAs(uid int, socket string) string {
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
		return e.Error()
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
		return err.Error()
	}
	limit := unix.NsecToTimeval(int64(5 * time.Second))
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
	n, err := unix.Read(fd, make([]byte, 1))
	if n == 0 && err == nil || err == unix.ECONNRESET {
		return "eof"
	}
	return "an answer"
}
