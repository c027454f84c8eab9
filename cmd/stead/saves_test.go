package main

import (
	"bytes"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func TestWhatIsSaidComesBetweenTwoLines(t *testing.T) {
	var out bytes.Buffer
	w := &wholeLines{out: &out}
	w.say("one\n")
	_, _ = w.Write([]byte("web | hel"))
	w.say("two\n")
	_, _ = w.Write([]byte("lo\nweb"))
	w.say("three\n")
	_, _ = w.Write([]byte(" | again\n"))
	if diff := cmp.Diff("one\nweb | hello\nweb | again\ntwo\nthree\n", out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestASaveIsOneLine when all services are there that it reloads, and one for
// each that it did no good.
func TestASaveIsOneLine(t *testing.T) {
	var out bytes.Buffer
	s := &saves{say: (&wholeLines{out: &out}).say, arrow: "->", directory: "/src/shop", known: map[string]saveSeen{}}
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(began.Add(d)) }
	reload := func(number uint64, trigger, outcome string, ended time.Duration) *steadpb.Reload {
		r := &steadpb.Reload{Generation: number, Trigger: trigger, Began: at(0), Built: at(400 * time.Millisecond), Outcome: outcome}
		if outcome != "" {
			r.Ended = at(ended)
		}
		return r
	}
	keys := []string{"shop/api", "shop/web"}
	update := func(api, web *steadpb.Service, notes ...string) {
		s.update(keys, map[string]*steadpb.Service{"shop/api": api, "shop/web": web}, notes)
	}
	before := &steadpb.Service{Name: "api", Reload: reload(1, "old.go changed", "ready", time.Second)}
	update(before, &steadpb.Service{Name: "web"}, "an old note")
	update(&steadpb.Service{Name: "api", Reload: reload(2, "lib.go changed", "ready", time.Second)},
		&steadpb.Service{Name: "web", Reload: reload(3, "lib.go changed", "", 0)}, "an old note")
	good := &steadpb.Service{Name: "api", Reload: reload(2, "lib.go changed", "ready", time.Second)}
	for range 2 {
		update(good, &steadpb.Service{Name: "web", Reload: reload(3, "lib.go changed", "ready", 1500*time.Millisecond)})
	}
	bad := &steadpb.Service{Name: "web", Reload: reload(4, "web.go changed", "failed", time.Second)}
	bad.Reload.Cause = "exit code 2"
	update(good, bad)
	bad.Diagnostics = []*steadpb.Diagnostic{{
		File: "/src/shop/web.go", Line: 3, Column: 2, Severity: "error", Text: "panic: no luck", Source: "\tx()", Generation: 4,
	}}
	for range 2 {
		update(good, bad)
	}
	told := func(d time.Duration) *steadpb.Service {
		r := reload(4, "web.conf changed", "signalled", d)
		r.Cause = "signal HUP"
		return &steadpb.Service{Name: "web", Reload: r}
	}
	for _, d := range []time.Duration{0, 0, time.Second} { // two saves
		update(good, told(d))
	}
	clock := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d`)
	const want = "TIME  lib.go -> api, web  built 0.40s  ready 1.50s\nTIME  web.go -> web  exit code 2\n    web.go:3:2: panic: no luck\n    \tx()\n    \t^\n" +
		"TIME  web.conf -> web  signal HUP\nTIME  web.conf -> web  signal HUP\n"
	if diff := cmp.Diff(want, clock.ReplaceAllString(out.String(), "TIME")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
