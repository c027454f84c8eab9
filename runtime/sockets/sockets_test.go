//go:build linux || darwin

package sockets

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lender has one listening socket, which it lends by any name that begins
// with "known".
type lender struct {
	listener *net.TCPListener
	file     *os.File
}

func newLender(t *testing.T) *lender {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); file.Close() })
	return &lender{l, file}
}

func (l *lender) Names() []string { return []string{"known/4", "known/6"} }

func (l *lender) Duplicate(name string) (int, bool) {
	if !strings.HasPrefix(name, "known") {
		return 0, false
	}
	fd, err := unix.FcntlInt(l.file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	return fd, err == nil
}

func serve(t *testing.T, source Source) (*Server, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "so") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, FileName)
	s, err := Serve(path, source, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, path
}

func dial(t *testing.T, path string) *Conn {
	t.Helper()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func closeFiles(files map[string]*os.File) {
	for _, f := range files {
		f.Close()
	}
}

func TestFetchedSocketIsTheSame(t *testing.T) {
	l := newLender(t)
	_, path := serve(t, l)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	files, err := dial(t, path).Fetch(t.Context(), []string{"known/6", "unknown", "known/4", "known/6"})
	if err != nil {
		t.Fatal(err)
	}
	defer closeFiles(files)
	if len(files) != 2 || files["known/4"] == nil || files["known/6"] == nil {
		t.Fatalf("fetched %v", files)
	}
	flags, err := unix.FcntlInt(files["known/4"].Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %x, %v: a child would inherit it", flags, err)
	}
	ours, err := net.FileListener(files["known/4"])
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	l.listener.Close() // the lender's own is not needed any more
	conn, err := net.Dial("tcp", ours.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := ours.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()
}

func TestNames(t *testing.T) {
	_, path := serve(t, newLender(t))
	c := dial(t, path)
	for range 2 {
		if names, err := c.Names(t.Context()); err != nil || !slices.Equal(names, []string{"known/4", "known/6"}) {
			t.Errorf("%q, %v", names, err)
		}
		files, err := c.Fetch(t.Context(), []string{"known/4"})
		closeFiles(files)
		if err != nil || len(files) != 1 {
			t.Errorf("%v, %v", files, err)
		}
	}
}

// A runtime's own socket is none of a lender's.
func TestLenders(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{LenderPath(dir, 12), LenderPath(dir, 3), filepath.Join(dir, FileName), filepath.Join(dir, "gateway-3.sock")} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := Lenders(dir); !slices.Equal(got, []string{LenderPath(dir, 12), LenderPath(dir, 3)}) {
		t.Errorf("%q", got)
	}
}

// More than one message can carry, several times, by several clients at once.
func TestFetchMany(t *testing.T) {
	_, path := serve(t, newLender(t))
	names := make([]string, 0, 600)
	for i := range cap(names) {
		names = append(names, fmt.Sprint("known/", strings.Repeat("x", i), "/", i)) // some 180 KB of names
	}
	var work sync.WaitGroup
	for range 2 {
		c := dial(t, path)
		for range 2 { // of one connection: they take turns
			work.Go(func() {
				files, err := c.Fetch(t.Context(), names)
				defer closeFiles(files)
				if err != nil || len(files) != len(names) {
					t.Errorf("%d files, %v", len(files), err)
				}
			})
		}
	}
	work.Wait()
}

func TestFetchNothing(t *testing.T) {
	_, path := serve(t, newLender(t))
	c := dial(t, path)
	for _, names := range [][]string{nil, {"unknown"}, {""}} {
		if files, err := c.Fetch(t.Context(), names); err != nil || len(files) != 0 {
			t.Errorf("%q: %v, %v", names, files, err)
		}
	}
}

func TestServerEnds(t *testing.T) {
	s, path := serve(t, newLender(t))
	c := dial(t, path)
	if _, err := c.Fetch(t.Context(), []string{"unknown"}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := c.Fetch(t.Context(), []string{"known"}); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("fetch after the end: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if _, err := Dial(path); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("dial after the end: %v", err)
	}
}

// A dead server leaves its socket behind.
func TestServeAgain(t *testing.T) {
	_, path := serve(t, newLender(t))
	again, err := Serve(path, newLender(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	files, err := dial(t, path).Fetch(t.Context(), []string{"known"})
	closeFiles(files)
	if err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestServeInALongPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("x", 120))
	if _, err := Serve(path, nil, slog.New(slog.DiscardHandler)); !errors.Is(err, runtime.Invalid) || runtime.Hint(err) == "" {
		t.Errorf("%v, hint %q", err, runtime.Hint(err))
	}
}

// slow has nothing, and takes its time to say so.
type slow func()

func (s slow) Names() []string { return nil }

func (s slow) Duplicate(string) (int, bool) {
	s()
	return 0, false
}

func TestFetchIsGivenUp(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	_, path := serve(t, slow(func() {
		close(asked)
		<-release
	}))
	defer close(release) // before the server's end
	c := dial(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := c.Fetch(ctx, []string{"known"})
		first <- err
	}()
	<-asked
	over, end := context.WithCancel(t.Context())
	end()
	if _, err := c.Fetch(over, []string{"known"}); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever waited for its turn: %v", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("whoever waited for the answer: %v", err)
	}
	if _, err := c.Fetch(t.Context(), nil); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	if _, err := c.Fetch(t.Context(), []string{"known"}); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("on a connection in the middle of an answer: %v", err)
	}
}

// Whatever a client sends, the server goes on.
func TestBadClients(t *testing.T) {
	_, path := serve(t, newLender(t))
	many, err := json.Marshal(request{Fetch: make([]string, batch+1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"\n", "garbage\n", "[1]\n", string(many) + "\n", strings.Repeat("x", 3*lineLimit), ""} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, sent := conn.Write([]byte(text))
		if strings.HasSuffix(text, "\n") {
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.Contains(line, `"error"`) {
				t.Errorf("%.20q is answered by %q, %v", text, line, err)
			}
		} else if text != "" && sent == nil {
			t.Errorf("%d bytes without a line end were taken", len(text))
		}
		conn.Close()
	}
	files, err := dial(t, path).Fetch(t.Context(), []string{"known"})
	closeFiles(files)
	if err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

// The kernel may cut an answer anywhere, and a server may lie.
func TestOddAnswers(t *testing.T) {
	for _, test := range []struct {
		name   string
		pieces []string
		fds    int // with the first piece
		want   int // files; -1: an error
	}{
		{"byte by byte", strings.Split(`{"files":["known"]}`+"\n", ""), 1, 1},
		{"fewer descriptors than names", []string{`{"files":["a","b"]}` + "\n"}, 1, -1},
		{"more descriptors than names", []string{`{"files":["a"]}` + "\n"}, 2, -1},
		{"no JSON", []string{"hello\n"}, 1, -1},
		{"cut off", []string{`{"files":`}, 1, -1},
		{"refused", []string{`{"error":"no"}` + "\n"}, 0, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLender(t)
			c, far := pair(t)
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer far.Close()
				_, _ = bufio.NewReader(far).ReadString('\n')
				for i, piece := range test.pieces {
					var rights []byte
					for range test.fds {
						if fd, ok := l.Duplicate("known"); ok && i == 0 {
							defer unix.Close(fd)
							rights = append(rights, unix.UnixRights(fd)...)
						}
					}
					_, _, _ = far.WriteMsgUnix([]byte(piece), rights, nil)
				}
			}()
			files, err := c.Fetch(t.Context(), []string{"known"})
			<-done
			closeFiles(files)
			if test.want < 0 && err == nil || test.want >= 0 && (err != nil || len(files) != test.want) {
				t.Errorf("%v, %v", files, err)
			}
		})
	}
}

// pair is a Conn, and the other end of it.
func pair(t *testing.T) (*Conn, *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { conn.Close() })
	}
	c := &Conn{conn: ends[0], turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c, ends[1]
}
