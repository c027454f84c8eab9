package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// project is a stead of its own with one project.
type project struct {
	*testing.T
	dir string
	env []string
}

func newProject(t *testing.T, manifest string) *project {
	t.Helper()
	dir, err := os.MkdirTemp("", "stead-e2e-") // sockets want short paths
	if err != nil {
		t.Fatal(err)
	}
	p := &project{T: t, dir: dir}
	p.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "STEAD_HOME="+dir+"/home", "STEAD_ORPHAN_TTL=60s", "HOME="+dir)
	t.Cleanup(func() {
		if out, err := p.command("daemon", "stop", "--services").CombinedOutput(); err != nil {
			t.Errorf("stop: %v\n%s", err, out)
		}
		_ = os.RemoveAll(dir)
	})
	if err := os.WriteFile(filepath.Join(dir, "stead.yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *project) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, "stead"), args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	return cmd
}

// stead runs a verb that is to succeed.
func (p *project) stead(args ...string) string {
	p.Helper()
	out, err := p.command(args...).CombinedOutput()
	if err != nil {
		p.Fatalf("stead %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// A follower that is stopped must not hold up who writes. It is told what it
// has missed, to the byte.
func TestStoppedFollowerBlocksNobody(t *testing.T) {
	const size = 64 << 20 / 120 * 120
	p := newProject(t, fmt.Sprintf("name: slow\nservices:\n  writer:\n    command: service -gate gate -bytes %d -report report\n", size))
	gate := filepath.Join(p.dir, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	p.stead("up", "-d")
	follower := p.command("logs", "-f", "--output", "json", "writer")
	out, err := follower.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follower.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = follower.Process.Kill()
		_ = follower.Wait()
	}()
	time.Sleep(300 * time.Millisecond) // until it follows
	if err := follower.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	open, err := os.OpenFile(gate, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = open.Close()
	written := func() bool { _, err := os.Stat(filepath.Join(p.dir, "report")); return err == nil }
	for deadline := time.Now().Add(20 * time.Second); !written(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the writer waits for a follower that is stopped")
		}
	}
	if err := follower.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	var shown, lost int64
	in := bufio.NewReader(out)
	for shown+lost < size {
		text, err := in.ReadBytes('\n')
		if err != nil {
			t.Fatalf("after %d shown and %d lost of %d: %v", shown, lost, size, err)
		}
		var line struct {
			Text   string
			Stream string
			Lost   int64
		}
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if lost += line.Lost; line.Stream == "stdout" {
			shown += int64(len(line.Text)) + 1
		}
	}
	if shown+lost != size || lost == 0 {
		t.Errorf("%d shown and %d lost of %d", shown, lost, size)
	}
}
