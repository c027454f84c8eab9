package environ

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell writes a script that acts as a login shell: text is what its files
// do; then it does what -c asks for.
func shell(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fakesh")
	script := "#!/bin/sh\n" + text + "\nwhile [ \"$1\" != -c ]; do shift; done\neval \"$2\"\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCapture(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plain":               "export FROM_SHELL=\"$(pwd)\"",
		"prints to stdout":    "echo welcome; printf 'A=1\\0B=2\\0'; export FROM_SHELL=\"$(pwd)\"",
		"prints to stderr":    "echo no job control >&2; export FROM_SHELL=\"$(pwd)\"",
		"reads":               "read answer; export FROM_SHELL=\"$(pwd)\"",
		"ends with a failure": "trap 'exit 3' EXIT; export FROM_SHELL=\"$(pwd)\"",
		"has hooks":           "_direnv_hook() { export FROM_SHELL=\"$(pwd)\"; }",
		"leaves one behind":   "sleep 100 & export FROM_SHELL=\"$(pwd)\"",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OF_THE_DAEMON", "1")
			environ, err := Capture(t.Context(), dir, []string{"SHELL=" + shell(t, text+"; export MANY='a\nb'"), "HOME=/nowhere", "CALLERS=1", "LC_ALL=C"})
			if err != nil {
				t.Fatal(err)
			}
			got := Values(environ)
			if real, _ := filepath.EvalSymlinks(dir); got["FROM_SHELL"] != dir && got["FROM_SHELL"] != real || got["MANY"] != "a\nb" || got["HOME"] != "/nowhere" || got["LC_ALL"] != "C" {
				t.Errorf("captured %q", environ)
			}
			for _, not := range []string{"OF_THE_DAEMON", "CALLERS", "TERM", "PWD", "SHLVL", "_", "A", "B", Marker} {
				if value, ok := got[not]; ok {
					t.Errorf("%s=%s was captured", not, value)
				}
			}
		})
	}
}

// TestCaptureUnanswered: why a shell did not answer is told apart.
func TestCaptureUnanswered(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("words"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"):   "does not exist",
		plain:                        "cannot be executed",
		"bash":                       "not an absolute path",
		shell(t, "exit 3"):           "ended with exit status 3",
		shell(t, "kill -9 $$"):       "ended with signal: killed",
		shell(t, "exec >&-; exit 0"): "did not tell its environment",
		shell(t, "yes; exit"):        "printed more than 8 MB",
	} {
		environ, err := Capture(t.Context(), dir, []string{"SHELL=" + path, "HOME=" + dir})
		unanswered, ok := errors.AsType[*Unanswered](err)
		if !ok || !strings.Contains(unanswered.Why, want) || unanswered.Shell != path || environ != nil {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	for _, quiet := range []string{"/usr/sbin/nologin", "/bin/false"} {
		if environ, err := Capture(t.Context(), dir, []string{"SHELL=" + quiet}); environ != nil || err != nil {
			t.Errorf("%s: %v, %v", quiet, environ, err)
		}
	}
}

// TestCaptureHangs: a shell that hangs is given up with its caller, or after
// its time, and nothing of it is left.
func TestCaptureHangs(t *testing.T) {
	dir := t.TempDir()
	pids := filepath.Join(dir, "pids")
	hangs := shell(t, "sleep 1000 & echo $$ $! > "+pids+".new; mv "+pids+".new "+pids+"; wait")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends when the shell runs
		for {
			if _, err := os.Stat(pids); err == nil || ctx.Err() != nil {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := Capture(ctx, dir, []string{"SHELL=" + hangs, "HOME=" + dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v", err)
	}
	gone(t, pids)
	_, err := capture(t.Context(), dir, []string{"SHELL=" + hangs, "HOME=" + dir}, 300*time.Millisecond)
	if unanswered, ok := errors.AsType[*Unanswered](err); !ok || !strings.Contains(unanswered.Why, "did not answer within 300ms") {
		t.Errorf("a shell that hangs: %v", err)
	}
	gone(t, pids)
}

// gone fails the test unless the processes in a file have ended.
func gone(t *testing.T, pids string) {
	t.Helper()
	text, _ := os.ReadFile(pids)
	for _, word := range strings.Fields(string(text)) {
		pid, _ := strconv.Atoi(word)
		for deadline := time.Now().Add(5 * time.Second); syscall.Kill(pid, 0) == nil && !zombie(pid); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d is left", pid)
			}
		}
	}
}

// zombie: where init does not reap, as in some containers, a dead orphan
// stays in the table.
func zombie(pid int) bool {
	out, _ := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return strings.HasPrefix(string(out), "Z")
}
