// Package uml runs stead in a machine of its own, a User Mode Linux: there are
// the controllers of a cgroup v2, and a clock that may be set, which the
// machines of developers and of CI share with others or do not have. It has
// tests alone.
package uml

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machineLimit ends a machine that hangs; what it has to do takes half of that
// on two busy cores.
const machineLimit = 4 * time.Minute

// step is a script that the machine runs, sh -e.
type step struct {
	name, script string
	wants        []string // texts in what it prints
}

// machine is a share that its steps are put in, and what came of them.
type machine struct {
	share   string
	console string
}

// needed skips the test unless it was asked for. Then all has to be there: a
// lane that silently does nothing proves nothing.
func needed(t *testing.T) {
	t.Helper()
	if os.Getenv("STEAD_UML") == "" {
		t.Skip("needs: STEAD_UML=1, to boot a User Mode Linux (make uml)")
	}
	for _, program := range []string{"linux.uml", "gcc", "mkswap", "swapon", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatal("needs: " + program)
		}
	}
}

// run boots a machine that runs the steps, and returns when it is off.
func (m *machine) run(t *testing.T, steps []step) {
	t.Helper()
	check(t, os.Mkdir(filepath.Join(m.share, "steps"), 0o755))
	for i, s := range steps {
		check(t, os.WriteFile(m.file(i, s, "sh"), []byte(s.script), 0o644))
	}
	ctx, cancel := context.WithTimeout(context.Background(), machineLimit)
	defer cancel()
	cmd := m.command(t, ctx)
	out, err := cmd.CombinedOutput()
	m.console = string(out)
	if ctx.Err() != nil {
		t.Errorf("the machine is not off after %s", machineLimit)
	} else if err != nil {
		t.Errorf("the machine ended with %v", err)
	}
}

// command is the machine: / is a read-only view of the real one's, and a
// second disk is swap.
func (m *machine) command(t *testing.T, ctx context.Context) *exec.Cmd {
	t.Helper()
	swap := filepath.Join(m.share, "swap")
	file, err := os.Create(swap)
	check(t, err)
	check(t, errors.Join(file.Truncate(128<<20), file.Close()))
	library := filepath.Join(m.share, "xstate.so")
	build(t, "gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, "testdata/xstate.c")
	init, err := filepath.Abs("testdata/init.sh")
	check(t, err)
	cmd := exec.CommandContext(ctx, "linux.uml", "mem=768M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
		"ubdb="+swap, "con=null", "con0=null,fd:1", "quiet", "share="+m.share, "init=/bin/sh", "--", init)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+library, "HOME="+m.share) // HOME: its sockets
	if _, err := os.Stat("/dev/shm"); err == nil {
		cmd.Env = append(cmd.Env, "TMPDIR=/dev/shm") // its memory is a file, deleted already
	}
	// Its processes are processes of ours, which it traces: all are in a group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func (m *machine) file(i int, s step, extension string) string {
	return filepath.Join(m.share, "steps", fmt.Sprintf("%d-%s.%s", i, s.name, extension))
}

// judge says what came of a step.
func (m *machine) judge(t *testing.T, i int, s step) {
	t.Helper()
	out, _ := os.ReadFile(m.file(i, s, "out"))
	code, err := os.ReadFile(m.file(i, s, "code"))
	switch {
	case err != nil:
		t.Fatalf("it did not come to its end:\n%s\nthe console:\n%s", out, m.console)
	case strings.TrimSpace(string(code)) != "0":
		t.Fatalf("it ended with %s:\n%s\nthe console:\n%s", strings.TrimSpace(string(code)), out, m.console)
	}
	for _, want := range s.wants {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in what it printed:\n%s", want, out)
		}
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
}

// build runs a compiler at the top of the house, or beside the test.
func build(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
