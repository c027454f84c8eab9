package main_test

import (
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
