package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// screen is a stead on a terminal.
type screen struct {
	*homestead
	cmd    *exec.Cmd
	master *os.File

	mu   sync.Mutex
	seen strings.Builder
}

func (h *homestead) onTerminal(args ...string) *screen {
	h.Helper()
	s := &screen{homestead: h, cmd: h.command(args...)}
	s.cmd.Env = append(s.cmd.Env, "TERM=xterm")
	var err error
	if s.master, err = pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		h.Fatal(err)
	}
	read := make(chan struct{})
	go func() { // ends with the program, which has the other side
		defer close(read)
		buffer := make([]byte, 4096)
		for {
			n, err := s.master.Read(buffer)
			s.mu.Lock()
			s.seen.Write(buffer[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	h.Cleanup(func() {
		_ = s.cmd.Process.Kill() // has mostly ended
		_ = s.cmd.Wait()
		<-read
		_ = s.master.Close()
	})
	return s
}

func (s *screen) sees(text string) {
	s.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		seen := s.seen.String()
		s.mu.Unlock()
		if strings.Contains(seen, text) {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("no %q in %q", text, seen)
		}
	}
}

func (s *screen) types(keys string) {
	s.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.Fatal(err)
	}
}

func (s *screen) exits(code int) {
	s.Helper()
	if _ = s.cmd.Wait(); s.cmd.ProcessState.ExitCode() != code {
		s.Errorf("ended with %v, want %d", s.cmd.ProcessState, code)
	}
}

// TestAttach types into the shell of the shop: it answers, learns of another
// size, and goes on after the detach keys, and after the daemon was killed.
func TestAttach(t *testing.T) {
	h := newHomestead(t, "services: {shell: {command: ./shell, terminal: true}}\n")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(h.dir, "shell"), "./shell")
	build.Dir = "../../testdata/shop"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.ok("up", "-d")
	shell := h.pid("shell")

	s := h.onTerminal("attach", "shell")
	s.sees("shop> ")
	s.types("echo one two\r")
	s.sees("\none two\r\n")
	s.types("size\r")
	s.sees("24 80")
	if err := pty.Setsize(s.master, &pty.Winsize{Rows: 30, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	h.until("the new size", 5*time.Second, func() bool {
		s.types("size\r")
		time.Sleep(50 * time.Millisecond)
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(s.seen.String(), "30 100")
	})
	s.types("\x1d") // Ctrl-]
	s.exits(0)
	s.sees("detached")

	daemon, _ := h.daemons()
	kill(t, daemon)
	again := h.onTerminal("attach", "shell")
	again.types("echo still here\r")
	again.sees("\nstill here\r\n")
	if h.pid("shell") != shell {
		t.Error("the shell was touched")
	}
	again.types("exit\r") // ends the service, and with it the session
	again.exits(0)
}

// TestExecOnATerminal: keys, signals and exit codes of a command.
func TestExecOnATerminal(t *testing.T) {
	h := newHomestead(t, "services: {a: {command: service}}\n")
	h.ok("up", "-d")
	s := h.onTerminal("exec", "a", "--", "sh", "-c", "test -t 0 && echo on a $(tty); read x; exit $x")
	s.sees("on a /dev/")
	s.types("7\r")
	s.exits(7)
	s = h.onTerminal("exec", "a", "--", "sh", "-c", "echo ready; sleep 100")
	s.sees("ready")
	s.types("\x03") // Ctrl-C is the command's
	s.exits(130)
	s = h.onTerminal("run", "--", "sh", "-c", "echo ready; sleep 1000")
	s.sees("ready")
	_ = s.cmd.Process.Signal(syscall.SIGKILL) // nobody is left to read: the command goes too
	h.until("the command has ended", 5*time.Second, func() bool { return h.count("sleep") == 0 })
}
