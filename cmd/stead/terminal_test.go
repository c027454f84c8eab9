package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// typist is a stead on a terminal of its own.
type typist struct {
	*testing.T
	cmd    *exec.Cmd
	master *os.File
	tty    *os.File // kept open, to look at its modes
	before *term.State
	ended  chan struct{}

	mu      sync.Mutex
	written bytes.Buffer
	more    chan struct{}
}

func onPty(t *testing.T, home string, args ...string) *typist {
	t.Helper()
	return onPtyIn(t, "", home, args...)
}

// onPtyIn does so in a directory; empty: the test's own.
func onPtyIn(t *testing.T, directory, home string, args ...string) *typist {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	before, err := term.GetState(int(tty.Fd())) // stead changes it as soon as it runs
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{Path: own, Args: append([]string{"stead"}, args...), Dir: directory, Stdin: tty, Stdout: tty, Stderr: tty}
	cmd.Env = append(os.Environ(), "STEAD_HOME="+home, "TERM=xterm", "NO_COLOR=", "GORACE=atexit_sleep_ms=0")
	w := &typist{T: t, cmd: cmd, master: master, tty: tty, before: before, ended: make(chan struct{}), more: make(chan struct{}, 1)}
	cmd.SysProcAttr = newTerminalSession()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go w.read() // ends when the test closes both ends
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // has mostly ended
		_ = cmd.Wait()
		_ = tty.Close()
		_ = master.Close()
		<-w.ended
	})
	return w
}

func (w *typist) read() {
	defer close(w.ended)
	buffer := make([]byte, 4096)
	for {
		n, err := w.master.Read(buffer)
		w.mu.Lock()
		w.written.Write(buffer[:n])
		w.mu.Unlock()
		select {
		case w.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (w *typist) sees(text string) {
	w.Helper()
	limit := time.After(30 * time.Second)
	for {
		w.mu.Lock()
		seen := w.written.String()
		w.mu.Unlock()
		if strings.Contains(seen, text) {
			return
		}
		select {
		case <-w.more:
		case <-limit:
			w.Fatalf("no %q in %q", text, seen)
		}
	}
}

func (w *typist) types(keys string) {
	w.Helper()
	if _, err := w.master.WriteString(keys); err != nil {
		w.Fatal(err)
	}
}

func (w *typist) exits(code int) {
	w.Helper()
	if _ = w.cmd.Wait(); w.cmd.ProcessState.ExitCode() != code {
		w.Errorf("exit code %v, want %d", w.cmd.ProcessState, code)
	}
}

// playing starts a daemon with what is wanted and returns its home.
func playing(t *testing.T, text string) (string, *fakeDaemon) {
	t.Helper()
	home, err := os.MkdirTemp("/tmp", "stead-cli-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Mkdir(filepath.Join(home, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	f := newFakeDaemon([]byte(text))
	t.Cleanup(f.serve(filepath.Join(home, "run", "stead.sock")))
	return home, f
}

const noManifest = `{
	"present": {"services": [{"project": "shop", "name": "web", "want": "up", "phase": "ready"}]},
	"errors": {"Up": {"code": "not_found", "text": "no stead.yaml in /shop or above it: not found", "once": true}},
	"answers": {"Up": {"project": "shop", "name": "shop", "services": ["web"]},
		"Propose": {"proposal": {"text": "name: shop\nservices:\n  web: {command: ./web}\n", "found": ["Procfile: web"]}}}}`

// Up without a manifest asks, and nothing but a yes is one.
func TestUpAsks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys, sees string
		code       int
		written    bool
	}{
		"yes":         {"y\r", "1 of 1 service up", 0, true},
		"no":          {"n\r", "stead init", exitNotFound, false},
		"neither":     {"\r", "stead init", exitNotFound, false},
		"end":         {"\x04", "stead init", exitNotFound, false},
		"interrupted": {"\x03", "\r\n", exitInterrupted, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home, _ := playing(t, noManifest)
			directory := t.TempDir()
			if err := os.WriteFile(filepath.Join(directory, "Procfile"), []byte("web: ./web\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			w := onPtyIn(t, directory, home, "up", "-d")
			w.sees("    name: shop\r\n")
			w.sees("write stead.yaml and start? [y/N] ")
			if _, err := os.Stat(filepath.Join(directory, "stead.yaml")); err == nil {
				t.Error("it was written before the answer")
			}
			w.types(c.keys)
			w.sees(c.sees)
			w.exits(c.code)
			text, _ := os.ReadFile(filepath.Join(directory, "stead.yaml")) // none: empty
			if want := "name: shop\nservices:\n  web: {command: ./web}\n"; (string(text) == want) != c.written || !c.written && len(text) > 0 {
				t.Errorf("stead.yaml is %q", text)
			}
		})
	}
}

const oneService = `{"present": {"services": [{"project": "shop", "name": "shell", "want": "up", "phase": "ready"}]}}`

func TestAttach(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]string{"bracket": "\x1d", "docker": "\x10\x11"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home, _ := playing(t, oneService)
			w := onPty(t, home, "attach", "shell")
			w.sees("size=columns:80")
			w.types("x\x03y") // an interrupt is for the other side
			w.sees("x\x03y")
			if err := pty.Setsize(w.master, &pty.Winsize{Rows: 30, Cols: 100}); err != nil {
				t.Fatal(err)
			}
			w.sees("resized to 100x30")
			w.types("z" + keys)
			w.sees("detached")
			w.exits(0)
			after, err := term.GetState(int(w.tty.Fd()))
			if err != nil {
				t.Fatal(err)
			}
			if *w.before != *after {
				t.Errorf("the terminal is left in another mode: %v, was %v", after, w.before)
			}
		})
	}
}

func TestAttachLosesDaemon(t *testing.T) {
	t.Parallel()
	home, f := playing(t, oneService)
	w := onPty(t, home, "attach", "shell")
	w.sees("size=")
	f.stop()
	w.sees("stead: error:")
	w.exits(5)
	if after, err := term.GetState(int(w.tty.Fd())); err != nil || *w.before != *after {
		t.Errorf("the terminal is left in another mode (%v)", err)
	}
}

func TestExecOnTerminal(t *testing.T) {
	t.Parallel()
	home, _ := playing(t, oneService)
	w := onPty(t, home, "exec", "shell", "--", "exit", "9")
	w.exits(9)
	w = onPty(t, home, "exec", "shell", "cat")
	w.sees("terminal=true")
	w.types("\x1d") // detaches from attach alone
	w.sees("\x1d")
}

func TestUpOnTerminal(t *testing.T) {
	t.Parallel()
	home, _ := playing(t, `{"pause": 120,
 "answers": {"Up": {"project": "/shop", "name": "shop", "services": ["web"]}},
 "after": {"Up": [
  {"services": [{"project": "shop", "projectId": "/shop", "name": "web", "want": "up", "phase": "starting", "nextGeneration": 1}]},
  {"services": [{"project": "shop", "projectId": "/shop", "name": "web", "want": "up", "phase": "ready", "ready": true, "generation": 1}]}],
  "Down": [
  {"services": [{"project": "shop", "projectId": "/shop", "name": "web", "want": "down", "phase": "stopping", "generation": 1}]},
  {"services": [{"project": "shop", "projectId": "/shop", "name": "web", "want": "down", "phase": "stopped", "generation": 1}]}]}}`)
	w := onPty(t, home, "up")
	w.sees("web  \x1b[33mstarting\x1b[0m  \x1b[2m0.")
	w.sees("\x1b[1A")
	w.sees("web  \x1b[32mready\x1b[0m")
	w.sees("1 of 1 service up")
	w.types("\x03")
	w.sees("stopping")
	w.sees("stopped 1 service")
	w.exits(130)
}

const oneUp = `{"answers": {"Up": {"project": "/shop", "name": "shop", "services": ["web"]}},
 "after": {"Up": [
  {"services": [{"project": "shop", "projectId": "/shop", "name": "web", "want": "up", "phase": "%s", "generation": 1}]}]}}`

func TestUpHangup(t *testing.T) {
	t.Parallel()
	home, f := playing(t, fmt.Sprintf(oneUp, "ready"))
	w := onPty(t, home, "up")
	w.sees("1 of 1 service up")
	if err := w.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	w.exits(0)
	if f.mu.Lock(); slices.Contains(f.called, "Down web") {
		t.Error("the services were stopped")
	}
	f.mu.Unlock()
}

func TestUpDetachedInterrupt(t *testing.T) {
	t.Parallel()
	home, f := playing(t, fmt.Sprintf(oneUp, "starting"))
	w := onPty(t, home, "up", "-d")
	w.sees("starting")
	w.types("\x03")
	w.sees("stop them with: stead down")
	w.exits(130)
	if f.mu.Lock(); slices.Contains(f.called, "Down web") {
		t.Error("the services were stopped")
	}
	f.mu.Unlock()
}

func TestColour(t *testing.T) {
	t.Parallel()
	home, _ := playing(t, oneService)
	onPty(t, home, "status").sees("shell    \x1b[32mready\x1b[0m")
	onPty(t, home, "status", "--no-color").sees("shell    ready  ")
}
