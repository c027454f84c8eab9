package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/sockets"
)

// bindFree declares a socket on a port that was free a moment ago.
func (b *bench) bindFree(name string) runtime.Socket {
	b.t.Helper()
	for range 10 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.t.Fatal(err)
		}
		s := runtime.Socket{Name: name, Address: l.Addr().String()}
		l.Close()
		if b.declare(s)[0].Error == "" {
			return s
		}
	}
	b.t.Fatal("no port is free")
	return runtime.Socket{}
}

func (b *bench) declare(all ...runtime.Socket) []runtime.SocketStatus {
	b.t.Helper()
	statuses, err := b.Listen(context.Background(), all)
	if err != nil {
		b.t.Fatal(err)
	}
	return statuses
}

// A machine without IPv6 has no ::1, and one that listens on both families is
// given the other one alone. 192.0.2.1 is nobody's (RFC 5737).
func TestAnAbsentAddressIsLeftOut(t *testing.T) {
	b := start(t, Options{}).synced()
	there := b.bindFree("shop/web/http")
	absent := runtime.Socket{Name: "shop/web/http6", Address: "192.0.2.1:9001"}
	if s := b.declare(there, absent)[1]; !s.Absent {
		t.Skipf("needs: a machine without the address 192.0.2.1: %+v", s)
	}
	spec := b.spec("listening env:LISTEN_FDS env:LISTEN_FDNAMES exit:0", func(s *runtime.Spec) {
		s.Sockets = []runtime.Socket{{Name: "http", Address: absent.Address}, {Name: "http", Address: there.Address}}
	})
	id := b.start(spec)
	b.untilFinal(id)
	if got := b.logs.text(id.Service, runtime.StreamStdout); got != "1 sockets\nLISTEN_FDS=1\nLISTEN_FDNAMES=http\n" {
		t.Errorf("%q", got)
	}
	alone := b.spec("exit:0", func(s *runtime.Spec) { s.Sockets = []runtime.Socket{{Name: "http", Address: absent.Address}} })
	if _, err := b.Start(t.Context(), alone); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("with no socket at all: %v", err)
	}
}

// Twenty generations take over from each other on one socket, and whoever
// connects meanwhile, each time anew, is answered.
func TestInheritedSocketLosesNoConnection(t *testing.T) {
	b := start(t, Options{}).synced()
	socket := b.bindFree("shop/web/http")
	spec := b.spec("accept", func(s *runtime.Spec) {
		s.Sockets = []runtime.Socket{{Name: "http", Address: socket.Address}}
		s.Ready = &runtime.Probe{Kind: runtime.ProbeLog, Text: "accepting"}
	})
	b.untilReady(b.start(spec))
	var asked, lost atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() { // ends with stop
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
			for {
				select {
				case <-stop:
					return
				default:
				}
				asked.Add(1)
				if err := get200(client, "http://"+socket.Address); err != nil && lost.Add(1) < 5 {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		old := spec.ID
		spec.ID.Number++
		b.untilReady(b.start(spec))
		b.stop(old, runtime.StopRequest{})
		if s := b.untilFinal(old); s.Phase != runtime.GenerationStopped {
			t.Errorf("%s: %+v", old, s)
		}
	}
	close(stop)
	load.Wait()
	t.Logf("%d requests", asked.Load())
	if asked.Load() < 20 || lost.Load() > 0 {
		t.Errorf("%d of %d requests were lost", lost.Load(), asked.Load())
	}
}

func get200(client *http.Client, url string) error {
	res, err := client.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// What a service sees of itself is the same with and without a shell before it.
func TestInheritThroughAShell(t *testing.T) {
	b := start(t, Options{}).synced()
	socket := b.bindFree("shop/web/http")
	inherit := func(s *runtime.Spec) {
		s.Sockets = []runtime.Socket{{Name: "http", Address: socket.Address}}
		s.Inherited = []string{"PATH=" + b.dir + ":/usr/bin:/bin", "LISTEN_FDS=7", "LISTEN_PID=1"}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := copyExecutable(filepath.Join(b.dir, "program"), exe); err != nil {
		t.Fatal(err)
	}
	_, noBash := os.Stat("/bin/bash")
	for _, c := range []struct {
		name   string
		change func(*runtime.Spec)
		argv0  string
		bash   bool
	}{
		{"plain", func(*runtime.Spec) {}, exe, false},
		{"relative", func(s *runtime.Spec) { s.Command = []string{"./program"} }, "./program", false},
		{"in PATH", func(s *runtime.Spec) { s.Command = []string{"program"} }, "program", false},
		{"snapshot", func(s *runtime.Spec) { s.Command, s.Snapshot = []string{"./program"}, true }, "./program", true},
		{"variable with a dot", func(s *runtime.Spec) { s.Environment["a.b"] = "c" }, exe, true},
		{"terminal", func(s *runtime.Spec) { s.Terminal = true }, exe, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.bash && noBash != nil {
				t.Skip("needs: bash")
			}
			spec := b.spec("env:LISTEN_FDS env:LISTEN_FDNAMES env:LISTEN_PID pid argv env:a.b exit:0", inherit, c.change)
			spec.Command = append(spec.Command, "it's", "", "two words")
			id := b.start(spec)
			pid := b.untilKind(id, runtime.StartedEvent).Started.PID
			b.untilFinal(id)
			stream := runtime.StreamStdout
			if spec.Terminal {
				stream = runtime.StreamTerminal
			}
			got := strings.ReplaceAll(b.logs.text(id.Service, stream), "\r\n", "\n")
			want := fmt.Sprintf("LISTEN_FDS=1\nLISTEN_FDNAMES=http\nLISTEN_PID=%d\n%d\n%q\na.b=%s\n",
				pid, pid, []string{c.argv0, "it's", "", "two words"}, spec.Environment["a.b"])
			if got != want {
				t.Errorf("it wrote\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// A shell would say it less well, in the log instead of the exit.
func TestInheritOfWhatCannotRun(t *testing.T) {
	b := start(t, Options{}).synced()
	socket := b.bindFree("shop/web/http")
	script := filepath.Join(b.dir, "script")
	if err := os.WriteFile(script, []byte("#!/nowhere/python\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ command, want string }{
		{"no-such-program", `command "no-such-program" not found in PATH`},
		{"bin/web", "bin/web: no such file (built?)"},
		{"./script", "./script: its interpreter /nowhere/python does not exist"},
	} {
		id := b.start(b.spec("", func(s *runtime.Spec) {
			s.Command, s.Sockets = []string{c.command}, []runtime.Socket{{Name: "http", Address: socket.Address}}
		}))
		if s := b.untilFinal(id); !strings.HasPrefix(s.Reason, c.want) {
			t.Errorf("%s: %q, want %q…", c.command, s.Reason, c.want)
		}
	}
}

func TestSocketsAreNotForOthers(t *testing.T) {
	b := start(t, Options{}).synced()
	b.bindFree("shop/web/http")
	id := b.start(b.spec("listening env:LISTEN_FDS exit:0", func(s *runtime.Spec) { s.Inherited = []string{"LISTEN_FDS=7"} }))
	b.untilFinal(id)
	if got := b.logs.text(id.Service, runtime.StreamStdout); got != "0 sockets\nLISTEN_FDS=\n" {
		t.Errorf("a service without sockets says %q", got)
	}
}

func TestTakenAddressNamesItsHolder(t *testing.T) {
	b := start(t, Options{}).synced()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	status := b.declare(runtime.Socket{Name: "web", Address: l.Addr().String()})[0]
	if want := fmt.Sprintf("%s is already taken by pid %d (process.test)", l.Addr(), os.Getpid()); inspects && status.Error != want {
		t.Errorf("error %q, want %q", status.Error, want)
	}
	mine := b.bindFree("shop/web/http")
	_, port, _ := net.SplitHostPort(mine.Address)
	status = b.declare(mine, runtime.Socket{Name: "all", Address: "0.0.0.0:" + port})[1]
	if want := "0.0.0.0:" + port + " is already taken by stead itself, for shop/web/http"; status.Error != want {
		t.Errorf("error %q, want %q", status.Error, want)
	}
}

func TestAddressThatIsNotThere(t *testing.T) {
	b := start(t, Options{}).synced()
	for _, address := range []string{"192.0.2.1:20001", "[2001:db8::1]:20001"} { // for documentation: RFC 5737, RFC 3849
		if s := b.declare(runtime.Socket{Name: "web", Address: address})[0]; !s.Absent || !strings.HasPrefix(s.Error, "this machine has no ") {
			t.Errorf("%+v", s)
		}
	}
}

func TestDeniedPortIsExplained(t *testing.T) {
	l := newListeners(newPorts(time.Now, t.Name()))
	address, err := socketAddress(runtime.Socket{Name: "web", Address: "127.0.0.1:80"})
	if err != nil {
		t.Fatal(err)
	}
	err = l.explain(address, &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)})
	if want := "permission denied: ports below 1024 are for root, and port 80 is one"; err.Error() != want || runtime.Hint(err) == "" {
		t.Errorf("error %q, hint %q", err, runtime.Hint(err))
	}
}

// Both families have a socket of their own, and they do not take each other's
// place.
func TestBothFamilies(t *testing.T) {
	b := start(t, Options{}).synced()
	four := b.bindFree("shop/web/http")
	_, port, _ := net.SplitHostPort(four.Address)
	six := runtime.Socket{Name: "shop/web/http/6", Address: "[::1]:" + port}
	statuses := b.declare(four, six)
	switch {
	case statuses[1].Absent:
		t.Skip("needs: IPv6")
	case statuses[0].Error != "" || statuses[1].Error != "":
		t.Fatalf("%+v", statuses)
	}
	id := b.start(b.spec("listening exit:0", func(s *runtime.Spec) {
		s.Sockets = []runtime.Socket{{Name: "http", Address: four.Address}, {Name: "http", Address: six.Address}}
	}))
	b.untilFinal(id)
	if got := b.logs.text(id.Service, runtime.StreamStdout); got != "2 sockets\n" {
		t.Errorf("it says %q", got)
	}
}

// The gateway's way to a socket.
func TestFetchFromTheRuntime(t *testing.T) {
	dir, err := os.MkdirTemp("", "so") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, sockets.FileName)
	b := start(t, Options{Sockets: path}).synced()
	first := b.bindFree("shop/web/http")
	conn, err := sockets.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fetch := func() map[string]*os.File {
		files, err := conn.Fetch(t.Context(), []string{"shop/web/http", "shop/api/http"})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	one := fetch()
	renamed := runtime.Socket{Name: "shop/api/http", Address: first.Address}
	b.declare(renamed) // of another service now, without being bound again
	two := fetch()
	if one["shop/web/http"] == nil || two["shop/api/http"] == nil || len(one)+len(two) != 2 {
		t.Fatalf("fetched %v, then %v", one, two)
	}
	defer one["shop/web/http"].Close()
	defer two["shop/api/http"].Close()
	var a, z syscall.Stat_t
	if err := errors.Join(syscall.Fstat(int(one["shop/web/http"].Fd()), &a), syscall.Fstat(int(two["shop/api/http"].Fd()), &z)); err != nil {
		t.Fatal(err)
	}
	if a.Ino != z.Ino {
		t.Error("it was bound again")
	}
	b.declare()
	if files := fetch(); len(files) != 0 {
		t.Errorf("of what is not declared any more: %v", files)
	}
}

func TestBadSocketsAreRefused(t *testing.T) {
	b := start(t, Options{}).synced()
	good := b.bindFree("web")
	for _, list := range [][]runtime.Socket{
		{{Name: "", Address: good.Address}},
		{{Name: "a:b", Address: good.Address}},
		{{Name: "a b", Address: good.Address}},
		{{Name: "web", Address: "localhost:80"}},
		{{Name: "web", Address: "127.0.0.1:0"}},
		{{Name: "a", Address: good.Address}, {Name: "b", Address: good.Address}},
	} {
		if _, err := b.Start(t.Context(), b.spec("", func(s *runtime.Spec) { s.Sockets = list })); !errors.Is(err, runtime.Invalid) {
			t.Errorf("%+v: %v", list, err)
		}
	}
}
