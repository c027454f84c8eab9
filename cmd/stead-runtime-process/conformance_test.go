package main

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance"
	"github.com/stead-dev/stead/runtime/plugin"
	"github.com/stead-dev/stead/runtime/sockets"
)

func TestMain(m *testing.M) {
	if os.Getenv("TEST_AS_RUNTIME") != "" {
		main()
		return
	}
	os.Exit(conformance.Main(m))
}

// TestConformance runs the suite over this program.
func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Harness{New: launch, Processes: true, Served: true})
}

// The gateway's sockets come from beside runtime.json, and a successor's too.
func TestSocketsAreHandedOut(t *testing.T) {
	in := launch(t)
	fetch := func(rt runtime.Runtime) {
		socket := runtime.Socket{Name: "shop/web/http", Address: freeAddress(t)}
		statuses, err := rt.Listen(t.Context(), []runtime.Socket{socket})
		if err != nil || statuses[0].Error != "" {
			t.Fatalf("%+v, %v", statuses, err)
		}
		conn, err := sockets.Dial(filepath.Join(in.Dir, sockets.FileName))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		files, err := conn.Fetch(t.Context(), []string{socket.Name})
		if err != nil || files[socket.Name] == nil {
			t.Fatalf("%v, %v", files, err)
		}
		defer files[socket.Name].Close()
		l, err := net.FileListener(files[socket.Name])
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if l.Addr().String() != socket.Address {
			t.Errorf("it listens on %s, want %s", l.Addr(), socket.Address)
		}
	}
	fetch(in.Runtime)
	next := in.Kill(t)
	fetch(next)
	if err := next.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// freeAddress was free a moment ago.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func launch(t *testing.T) conformance.Instance {
	home, err := os.MkdirTemp("", "sr") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := plugin.LaunchOptions{
		Path: path, Dir: filepath.Join(home, "run"), LogFile: filepath.Join(home, "log"),
		Args: []string{"--dir", filepath.Join(home, "run"), "--state", filepath.Join(home, "state"), "--logs", filepath.Join(home, "logs")},
		Env: append(os.Environ(), "TEST_AS_RUNTIME=1", "STEAD_HOME="+home, "STEAD_ORPHAN_TTL=60s",
			"GORACE=atexit_sleep_ms=0"),
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(o.LogFile); t.Failed() && err == nil {
			t.Logf("the runtime's log:\n%s", text)
		}
	})
	var clients []*plugin.Client
	t.Cleanup(func() { // registered before the suite's own end, and so run after it
		for _, c := range clients {
			c.Close()
		}
	})
	attach := func(t *testing.T) *plugin.Client {
		c, err := plugin.Launch(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
		return c
	}
	c := attach(t)
	return conformance.Instance{Runtime: c, Dir: o.Dir, Kill: func(t *testing.T) runtime.Runtime {
		if err := syscall.Kill(c.Description().PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		return attach(t)
	}}
}
