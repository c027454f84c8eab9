package main_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestThousandsOfRestarts has a service end as fast as it can be started:
// daemon and runtime answer all the while, stay small, and count right.
// STEAD_RESTARTS says how many there are to be.
func TestThousandsOfRestarts(t *testing.T) {
	want := 600
	if text := os.Getenv("STEAD_RESTARTS"); text != "" {
		want, _ = strconv.Atoi(text)
	}
	h := newHomestead(t, `
services:
  quick:
    command: sh -c 'echo x >>starts'
    restart: {policy: always, min: 1ms, max: 1ms, limit: 0}
  calm: {command: service}
`)
	h.ok("up", "-d")
	calm := h.pid("calm")
	daemon, spine := h.daemons()
	began, slowest := time.Now(), time.Duration(0)
	for h.status()["quick"].Restarts < want {
		asked := time.Now()
		h.ok("status")
		slowest = max(slowest, time.Since(asked))
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("only %d restarts", h.status()["quick"].Restarts)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("%v for %d restarts, slowest status %v, daemon %d kB, runtime %d kB",
		time.Since(began), want, slowest, resident(t, daemon), resident(t, spine))
	if slowest > 2*time.Second {
		t.Errorf("a status took %v", slowest)
	}
	for _, pid := range []int{daemon, spine} {
		if kb := resident(t, pid); kb > 100<<10 {
			t.Errorf("process %d has grown to %d kB", pid, kb)
		}
	}
	if h.pid("calm") != calm {
		t.Error("another service was touched")
	}

	// While there is no daemon the runtime goes on, and keeps a bounded number
	// of exits: the rest comes as a count.
	kill(t, daemon)
	before := h.starts()
	h.until("restarts without a daemon", time.Minute, func() bool { return h.starts() > before+300 })
	h.ok("down", "quick")
	starts, last := h.starts(), 0
	exits, summed := 0, 0
	for line := range strings.Lines(h.ok("events", "quick")) {
		_, number, is := strings.Cut(line, "quick/1/0/")
		switch {
		case strings.Contains(line, " times more"):
			_, rest, _ := strings.Cut(line, "ended ")
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			summed += n
		case is && strings.Contains(line, " exit "):
			last, _ = strconv.Atoi(strings.Fields(number)[0])
			exits++
		}
	}
	if last != starts && last != starts+1 { // the last one may not have come to write
		t.Errorf("the last attempt was %d, but it was started %d times", last, starts)
	}
	if summed == 0 {
		t.Error("no exits were summed up")
	}
	if exits+summed != last {
		t.Errorf("%d exits are noted and %d summed up, of %d", exits, summed, last)
	}
	t.Logf("%d starts: %d exits noted, %d summed up", starts, exits, summed)
}

func (h *homestead) starts() int {
	text, _ := os.ReadFile(filepath.Join(h.dir, "starts")) // none yet
	return strings.Count(string(text), "\n")
}
