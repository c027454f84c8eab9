package main_test

import (
	"fmt"
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
	h := newHomestead(t, fmt.Sprintf(`
services:
  quick:
    command: sh -c 'echo x >>starts'
    restart: {policy: always, min: 1ms, max: 1ms, limit: %d, window: 1h}
  calm: {command: service}
`, want))
	h.ok("up", "-d", "calm")
	calm := h.pid("calm")
	daemon, spine := h.daemons()
	began, slowest := time.Now(), time.Duration(0)
	h.stead("up", "-d", "quick") // is ready in between, or not any more
	h.until("the last restart", 2*time.Minute, func() bool {
		asked := time.Now()
		h.ok("status")
		slowest = max(slowest, time.Since(asked))
		return h.status()["quick"].Phase == "failed"
	})
	t.Logf("%v for %d restarts, slowest status %v, daemon %d kB, runtime %d kB",
		time.Since(began), want, slowest, resident(t, daemon), resident(t, spine))
	if n := h.status()["quick"].Restarts; n != want || h.starts() != want+1 {
		t.Errorf("%d restarts and %d starts, want %d", n, h.starts(), want)
	}
	if slowest > 30*time.Second {
		t.Errorf("a status took %v: it hung", slowest)
	}
	for _, pid := range []int{daemon, spine} {
		if kb := resident(t, pid); kb > 100<<10 {
			t.Errorf("process %d has grown to %d kB", pid, kb)
		}
	}
	if h.pid("calm") != calm {
		t.Error("another service was touched")
	}
}

// TestRestartsWithoutADaemon: the runtime goes on, and keeps a bounded number
// of exits, the newest; the rest comes as a count, so that none is lost.
func TestRestartsWithoutADaemon(t *testing.T) {
	h := newHomestead(t, `
services:
  quick:
    command: sh -c 'echo x >>starts'
    restart: {policy: always, min: 1ms, max: 1ms, limit: 0}
`)
	h.stead("up", "-d")
	daemon, _ := h.daemons()
	kill(t, daemon)
	h.until("restarts without a daemon", time.Minute, func() bool { return h.starts() > 300 })
	h.ok("down", "quick")
	exits, summed, last := 0, 0, 0
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
	if n := h.starts(); last != n && last != n+1 { // the last one may not have come to write
		t.Errorf("the last attempt was %d, but it was started %d times", last, n)
	}
	if summed == 0 || exits+summed != last {
		t.Errorf("%d exits are noted and %d summed up, of %d", exits, summed, last)
	}
}

func (h *homestead) starts() int {
	text, _ := os.ReadFile(filepath.Join(h.dir, "starts")) // none yet
	return strings.Count(string(text), "\n")
}
