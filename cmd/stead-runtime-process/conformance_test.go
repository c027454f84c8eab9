package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance"
	"github.com/stead-dev/stead/runtime/plugin"
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
