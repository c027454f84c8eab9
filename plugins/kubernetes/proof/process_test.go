package proof

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stead-dev/stead/runtime/plugin"
)

// builds is where TestMain has a place for the runtime's program.
var builds string

var built = sync.OnceValues(func() (string, error) {
	program := filepath.Join(builds, "stead-runtime-kubernetes")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "github.com/stead-dev/stead/cmd/stead-runtime-kubernetes")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	return program, build.Run()
})

// process starts the real runtime, which goes through the gate; each time the
// successor of the one before in home.
func (s *scene) process(t *testing.T, home string) *plugin.Client {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, "run")
	c, err := plugin.Launch(t.Context(), plugin.LaunchOptions{
		Path: program, Dir: dir, LogFile: filepath.Join(home, "log"),
		Args: []string{"--dir", dir, "--kubeconfig", s.gate.kubeconfig, "--namespace", s.namespace, "--project", "proof", "--environment", "local"},
		Env:  append(os.Environ(), "STEAD_HOME="+home, "STEAD_ORPHAN_TTL=60s"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shortDir is a home: t.TempDir is too long for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	home, err := os.MkdirTemp("", "sr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	return home
}

// kill ends a runtime at once.
func kill(t *testing.T, c *plugin.Client) {
	t.Helper()
	if err := syscall.Kill(c.Description().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	c.Close()
}
