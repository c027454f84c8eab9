package process

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/sockets"
)

// lenderOf has sockets of a runtime that is dead, by their address.
type lenderOf map[string]int

func (l lenderOf) Names() []string {
	var names []string
	for name := range l {
		names = append(names, name)
	}
	return names
}

func (l lenderOf) Duplicate(name string) (int, bool) {
	fd, err := unix.FcntlInt(uintptr(l[name]), unix.F_DUPFD_CLOEXEC, 3)
	return fd, err == nil
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "so") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// lendSockets serves n sockets, and a pipe, which is none.
func lendSockets(t *testing.T, dir string, n int) (addresses []string) {
	t.Helper()
	lent := lenderOf{}
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		t.Cleanup(func() { file.Close() })
		lent[l.Addr().String()] = int(file.Fd())
		addresses = append(addresses, l.Addr().String())
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	lent["no socket"] = int(r.Fd())
	server, err := sockets.Serve(sockets.LenderPath(dir, 3), lent, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return addresses
}

// A port that was published before the runtime died is open all the time: who
// connects before anything is declared is accepted afterwards.
func TestBorrowedSocketsStayOpen(t *testing.T) {
	dir := shortDir(t)
	addresses := lendSockets(t, dir, 2)
	path := filepath.Join(dir, sockets.FileName)
	b := start(t, Options{Sockets: path}).synced()
	caller, err := net.Dial("tcp", addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	b.untilFinal(b.start(b.spec("exit:0"))) // lets go of sockets, but not of these
	statuses := b.declare(runtime.Socket{Name: "web", Address: addresses[0]})
	if statuses[0].Error != "" {
		t.Fatalf("%+v", statuses)
	}
	conn, err := sockets.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	files, err := conn.Fetch(t.Context(), []string{"web"})
	if err != nil || files["web"] == nil {
		t.Fatalf("%v, %v", files, err)
	}
	defer files["web"].Close()
	if flags, err := unix.FcntlInt(files["web"].Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %x, %v: it does not block", flags, err)
	}
	fd, _, err := unix.Accept(int(files["web"].Fd()))
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	if n := len(b.listeners.bound); n != 1 {
		t.Errorf("%d sockets are left, of which one is declared", n)
	}
	if left := sockets.Lenders(dir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Before the daemon has declared anything, a gateway finds them by the name
// under which they were lent.
func TestBorrowedSocketsAreLentOn(t *testing.T) {
	dir := shortDir(t)
	addresses := lendSockets(t, dir, 300)
	path := filepath.Join(dir, sockets.FileName)
	start(t, Options{Sockets: path}).synced()
	conn, err := sockets.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	files, err := conn.Fetch(t.Context(), append(addresses, "no socket"))
	for _, f := range files {
		f.Close()
	}
	if err != nil || len(files) != 300 {
		t.Errorf("%d, %v", len(files), err)
	}
}

// A lender that is dead, and one that hangs, keep no runtime from coming up.
func TestBadLenders(t *testing.T) {
	dir := shortDir(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: sockets.LenderPath(dir, 1), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	hangs, err := net.Listen("unix", sockets.LenderPath(dir, 2))
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	if err := os.WriteFile(sockets.LenderPath(dir, 4), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	addresses := lendSockets(t, dir, 1)
	b := start(t, Options{Sockets: filepath.Join(dir, sockets.FileName)}).synced()
	if s := b.declare(runtime.Socket{Name: "web", Address: addresses[0]}); s[0].Error != "" {
		t.Errorf("the one that lends: %+v", s)
	}
	for _, path := range sockets.Lenders(dir) {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind", path)
		}
	}
}
