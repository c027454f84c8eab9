package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// homestead is a stead of its own with one project, for what a script cannot say.
type homestead struct {
	*testing.T
	dir  string // of the project
	home string // STEAD_HOME

	unmount func() // home, when it is a file system of its own
}

// newHomestead makes a project of a manifest; what runs is ended with the test,
// which fails when something is left.
func newHomestead(t *testing.T, manifest string) *homestead {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "stead-house-") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	h := &homestead{T: t, dir: dir, home: filepath.Join(dir, "home")}
	t.Cleanup(h.leave)
	h.write("stead.yaml", manifest)
	return h
}

func (h *homestead) write(name, text string) {
	h.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		h.Fatal(err)
	}
}

func (h *homestead) leave() {
	out, code := h.stead("daemon", "stop", "--services")
	if code != 0 && !strings.Contains(out, "no daemon") {
		h.Errorf("stop: %s", out)
	}
	limit := time.Now().Add(patience)
	for len(processesOf(h.dir)) > 0 && time.Now().Before(limit) {
		time.Sleep(10 * time.Millisecond)
	}
	for _, pid := range processesOf(h.dir) {
		h.Errorf("process %d was left behind", pid)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if h.unmount != nil {
		h.unmount()
	}
	_ = os.RemoveAll(h.dir)
}

// command is a stead to be run by the test itself.
func (h *homestead) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, "stead"), args...)
	cmd.Dir = h.dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STEAD_") || strings.HasPrefix(v, "PATH=") }),
		"PATH="+bin+":"+os.Getenv("PATH"), "STEAD_HOME="+h.home, "STEAD_ORPHAN_TTL=60s", "NO_COLOR=1")
	return cmd
}

// stead runs a command and returns all that it wrote, and its exit code.
func (h *homestead) stead(args ...string) (string, int) {
	var out bytes.Buffer
	cmd := h.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return err.Error(), -1
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// ok is stead for a command that must work.
func (h *homestead) ok(args ...string) string {
	h.Helper()
	out, code := h.stead(args...)
	if code != 0 {
		h.Fatalf("stead %s ended with %d:\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// present is what `status --output json` says of a service.
type present struct {
	Name, Phase, Want string
	Restarts          int
	Generation        int
	NextGeneration    int `json:"next_generation"` // one that is to replace it
	Halted            string
	Instances         []struct {
		PID           int
		Phase, Halted string
		Endpoints     map[string]string
	}
}

func (h *homestead) status() map[string]present {
	h.Helper()
	out, err := h.command("status", "--output", "json").Output()
	var answer struct{ Services []present }
	if err == nil {
		err = json.Unmarshal(out, &answer)
	}
	if err != nil {
		h.Fatalf("status: %v: %s", err, out)
	}
	services := map[string]present{}
	for _, s := range answer.Services {
		services[s.Name] = s
	}
	return services
}

// pid is the one of a service's first instance.
func (h *homestead) pid(service string) int {
	h.Helper()
	s := h.status()[service]
	if len(s.Instances) == 0 || s.Instances[0].PID == 0 {
		h.Fatalf("%s has no process: %+v", service, s)
	}
	return s.Instances[0].PID
}

// daemons returns the pids of the daemon and of its runtime.
func (h *homestead) daemons() (daemon, spine int) {
	h.Helper()
	out, err := h.command("daemon", "status", "--output", "json").Output()
	var answer struct {
		PID     int
		Runtime struct{ PID int }
	}
	if err == nil {
		err = json.Unmarshal(out, &answer)
	}
	if err != nil {
		h.Fatalf("daemon status: %v: %s", err, out)
	}
	return answer.PID, answer.Runtime.PID
}

// until waits for something to become true.
func (h *homestead) until(what string, limit time.Duration, is func() bool) {
	h.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			h.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// lives reports whether a process is there and not only waits to be reaped.
func lives(pid int) bool { return !ended(pid) }
