package main_test

import (
	"bufio"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

const twoServices = `
services:
  mine: {command: service -every 20ms}
  before: {command: service}
`

// foreground runs up and returns when it shows what mine writes.
func (h *homestead) foreground(args ...string) (signal func(os.Signal) int) {
	h.Helper()
	cmd := h.command(append([]string{"up"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	seen := make(chan bool, 1)
	ended := make(chan struct{})
	go func() { // ends with the command
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "tick ") {
				select {
				case seen <- true:
				default:
				}
			}
		}
	}()
	h.Cleanup(func() { _ = cmd.Process.Kill() }) // has mostly ended
	select {
	case <-seen:
	case <-ended:
		h.Fatal("up ended before it showed anything")
	case <-time.After(patience):
		h.Fatal("up shows nothing")
	}
	return func(s os.Signal) int {
		_ = cmd.Process.Signal(s)
		<-ended
		_ = cmd.Wait() // its exit code says it
		return cmd.ProcessState.ExitCode()
	}
}

// TestInterruptStopsWhatUpStarted and nothing that ran before.
func TestInterruptStopsWhatUpStarted(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			h := newHomestead(t, twoServices)
			h.ok("up", "-d", "before")
			before := h.pid("before")
			signal := h.foreground()
			mine := h.pid("mine")
			if code := signal(s); code != 130 {
				t.Errorf("exit code %d", code)
			}
			if lives(mine) {
				t.Error("what it started runs on")
			}
			if h.pid("before") != before {
				t.Error("what ran before was touched")
			}
		})
	}
}

// TestHangupDetaches: the terminal goes, services stay.
func TestHangupDetaches(t *testing.T) {
	h := newHomestead(t, twoServices)
	signal := h.foreground()
	mine := h.pid("mine")
	if code := signal(syscall.SIGHUP); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if h.pid("mine") != mine || !lives(mine) {
		t.Error("a service was touched")
	}
}

// TestKilledUpDetaches: nobody is left to stop anything.
func TestKilledUpDetaches(t *testing.T) {
	h := newHomestead(t, twoServices)
	signal := h.foreground()
	mine := h.pid("mine")
	signal(syscall.SIGKILL)
	if h.pid("mine") != mine || !lives(mine) {
		t.Error("a service was touched")
	}
}

// TestFollowedLogsArrive while the service goes on writing.
func TestFollowedLogsArrive(t *testing.T) {
	h := newHomestead(t, "services: {clock: {command: \"sh -c 'while sleep 0.1; do date +%s%N; done'\"}}\n")
	h.ok("up", "-d")
	cmd := h.command("logs", "-f", "--no-prefix", "--since", "0s")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for lines, n := bufio.NewScanner(out), 0; n < 10 && lines.Scan(); n++ {
		now := time.Now()
		if written, err := time.ParseDuration(lines.Text() + "ns"); err == nil {
			best = min(best, now.Sub(time.Unix(0, int64(written))))
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // was killed
	t.Logf("seen after %v", best)
	if best == time.Hour { // how quick it is, `make bench` judges
		t.Error("no line was seen")
	}
}
