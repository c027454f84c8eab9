package main_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestManyStartsAtOnce calls up from several shells on a home that is not
// there yet: all succeed, and one daemon and one runtime are what there is.
func TestManyStartsAtOnce(t *testing.T) {
	for round := range 20 {
		t.Run(strconv.Itoa(round), startAtOnce)
	}
}

func startAtOnce(t *testing.T) {
	h := newHomestead(t, "services: {a: {command: service}}\n")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if out, code := h.stead("up", "-d"); code != 0 {
				t.Errorf("ended with %d:\n%s", code, out)
			}
		})
	}
	all.Wait()
	h.until("one of each", 3*time.Second, func() bool { return h.count("steadd") == 1 && h.count("stead-runtime-process") == 1 })
	if s := h.status()["a"]; s.Generation != 1 || s.Phase != "ready" {
		t.Errorf("%+v", s)
	}
	if n := h.count("service"); n != 1 {
		t.Errorf("%d processes of the service", n)
	}
}

// count returns how many processes of this home have that name, without those
// that only wait to be reaped.
func (h *homestead) count(name string) int {
	n := 0
	for _, pid := range processesOf(h.dir) {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		program, _, _ := strings.Cut(string(text), "\x00")
		if err == nil && filepath.Base(program) == name && lives(pid) {
			n++
		}
	}
	return n
}
