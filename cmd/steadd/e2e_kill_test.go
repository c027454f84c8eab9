package main_test

import (
	"bufio"
	"fmt"
	"syscall"
	"testing"
)

// TestStatusRightAfterAKill is what the README does: kill -9 of the daemon,
// and status before the kernel is through with it.
func TestStatusRightAfterAKill(t *testing.T) {
	h := newHomestead(t, "services: {a: {command: service}}\n")
	h.ok("up", "-d")
	a := h.pid("a")
	for range 20 {
		daemon, _ := h.daemons()
		if err := syscall.Kill(daemon, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		h.ok("status")
	}
	if h.pid("a") != a {
		t.Error("a service was touched")
	}
}

// Who follows logs does not notice that the daemon was killed: it is brought
// back, and each line comes once.
func TestFollowingOutlivesTheDaemon(t *testing.T) {
	h := newHomestead(t, "services:\n  ticker: {command: service -every 5ms}\n")
	h.ok("up", "-d")
	follow := h.command("logs", "-f", "--no-prefix", "--raw", "ticker")
	out, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = follow.Process.Kill()
		_ = follow.Wait()
	}()
	lines := bufio.NewScanner(out)
	last, kills := 0, 0
	for last < 600 && lines.Scan() {
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "tick %d", &n); err != nil {
			t.Fatalf("line %q", lines.Text())
		}
		if last != 0 && n != last+1 {
			t.Fatalf("line %d follows %d", n, last)
		}
		if last = n; last > 150*(kills+1) && kills < 3 {
			kills++
			daemon, _ := h.daemons()
			kill(t, daemon)
		}
	}
	if kills != 3 || last < 600 {
		t.Errorf("%d kills, %d lines: %v", kills, last, lines.Err())
	}
}
