package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0.00s": -time.Second,
		"0.12s": 123 * time.Millisecond,
		"9.99s": 9994 * time.Millisecond,
		"10s":   9996 * time.Millisecond,
		"59s":   59*time.Second + 900*time.Millisecond,
		"3m20s": 200 * time.Second,
		"5h03m": 5*time.Hour + 3*time.Minute + 59*time.Second,
		"2d4h":  52 * time.Hour,
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, source string
		column, end  int
		want         string
	}{
		{"none", "", 3, 0, ""},
		{"blank", "  \t", 1, 0, ""},
		{"whole line", "services:", 0, 0, "    services:\n"},
		{"column", "  prots: 80\r\n", 3, 0, "      prots: 80\n      ^\n"},
		{"range", "  prots: 80", 3, 8, "      prots: 80\n      ^~~~~\n"},
		{"range past the end", "a: b", 4, 99, "    a: b\n       ^\n"},
		{"at the end", "a:", 3, 0, "    a:\n      ^\n"},
		{"past the end", "a:", 9, 0, "    a:\n"},
		{"tab", "\tx: 1", 2, 3, "    \tx: 1\n    \t^\n"},
		{"bytes before are runes", "größe: x", 10, 11, "    größe: x\n           ^\n"},
		{"range over runes", "größe: x", 1, 8, "    größe: x\n    ^~~~~\n"},
	} {
		if got := excerpt(tt.source, tt.column, tt.end); got != tt.want {
			t.Errorf("%s: got\n%swant\n%s", tt.name, got, tt.want)
		}
	}
}

func TestStatusTable(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	services := []*steadpb.Service{
		{Project: "shop", Name: "catalog", Want: "up", Phase: "ready", Ready: true, Generation: 7, NextGeneration: 8,
			Since: timestamp(now.Add(-200 * time.Second)), Urls: []string{"http://127.0.0.1:9001"},
			Instances: []*steadpb.Instance{{Pid: 0, Exit: "exit code 1"}, {Pid: 812}, {Pid: 813}}},
		{Project: "shop", Name: "web", Want: "up", Phase: "backoff", Generation: 2, Restarts: 11, Cause: "exit code 1",
			Until: timestamp(now.Add(1500 * time.Millisecond))},
		{Project: "shop", Name: "zoo", Want: "down", Phase: "stopped", Cause: "of no interest"},
	}
	for _, tt := range []struct {
		name  string
		width int
		paint paint
		want  string
	}{
		{"plain", 0, false, `
SERVICE  PHASE    GEN  RESTARTS  PID    UPTIME  URL/CAUSE
catalog  ready    7>8  0         812+1  3m20s   generation 8 is on its way
web      backoff  2    11        -      -       exit code 1; next start in 1.50s
zoo      stopped  -    0         -      -
`},
		{"narrow", 58, false, `
SERVICE  PHASE    GEN  RESTARTS  PID    UPTIME  URL/CAUSE
catalog  ready    7>8  0         812+1  3m20s   generatio…
web      backoff  2    11        -      -       exit code…
zoo      stopped  -    0         -      -
`},
		{"too narrow", 12, true, `
SERVICE  PH…
catalog  [32mre…[0m
web      [31mba…[0m
zoo      [2mst…[0m
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := "\n" + strings.Join(statusTable(services, now, tt.width, tt.paint), "\n") + "\n"
			if diff := cmp.Diff(tt.want, strings.ReplaceAll(got, "\x1b", "")); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := statusTable(nil, now, 80, false); got[0] != "no services" {
		t.Errorf("none: %q", got)
	}
}

// screen is a terminal as wide as it needs to be that knows what liveView
// writes: text, line feeds, and the CSI sequences A, K, J and m (ECMA-48).
type screen struct {
	lines []string
	row   int
	bytes int
}

func (s *screen) Write(data []byte) (int, error) {
	s.bytes += len(data)
	text := string(data)
	for text != "" {
		if len(s.lines) == s.row {
			s.lines = append(s.lines, "")
		}
		switch {
		case text[0] == '\n':
			s.row++
			text = text[1:]
		case strings.HasPrefix(text, "\x1b["):
			text = s.control(text[2:])
		default:
			end := strings.IndexAny(text, "\n\x1b")
			if end < 0 {
				end = len(text)
			}
			s.lines[s.row] = text[:end] // liveView writes a line without colour at once
			text = text[end:]
		}
	}
	return len(data), nil
}

func (s *screen) control(text string) string {
	end := strings.IndexAny(text, "AKJm")
	switch text[end] {
	case 'A':
		var n int
		_, _ = fmt.Sscan(text[:end], &n)
		s.row -= n
	case 'J':
		s.lines = s.lines[:s.row]
	}
	return text[end+1:]
}

func TestLiveView(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	service := func(name, phase string, since time.Duration) *steadpb.Service {
		return &steadpb.Service{Project: "shop", Name: name, Want: "up", Phase: phase, Ready: phase == "ready", Since: timestamp(at(since))}
	}
	b := newBoard([]string{"shop/db", "shop/web", "shop/worker"}, start, judgeUp)
	out := &screen{}
	rows := 24
	v := &liveView{out: out, size: func() (int, int) { return 40, rows }}
	check := func(name string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, out.lines); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}

	web := service("web", "pending", 0)
	web.WaitsFor = []string{"db"}
	b.update(&steadpb.StatusResponse{Services: []*steadpb.Service{service("db", "starting", time.Millisecond), web}})
	v.show(b, at(101*time.Millisecond))
	check("first", "db      starting  0.10s", "web     pending          waits for db", "worker")

	v.show(b, at(1101*time.Millisecond))
	check("time passes", "db      starting  1.10s", "web     pending          waits for db", "worker")

	db := service("db", "ready", 2*time.Second)
	db.Urls = []string{"tcp://127.0.0.1:5432/a-long-way-to-go"}
	failed := service("worker", "failed", 2*time.Second)
	failed.Cause = "exit code 1"
	b.update(&steadpb.StatusResponse{Services: []*steadpb.Service{db, service("web", "starting", 2*time.Second), failed}})
	v.show(b, at(3*time.Second))
	check("later", "db      ready     1.99s  tcp://127.0.0…", "web     starting  1.00s", "worker  failed    2.00s  exit code 1")

	rows = 4
	v.show(b, at(4*time.Second))
	check("more services than lines", "web  starting  2.00s", "… 1 of 3 are where they belong, 1 fail…")

	v.end(b, at(5*time.Second))
	check("end", "db      ready     1.99s  tcp://127.0.0…", "web     starting  3.00s", "worker  failed    2.00s  exit code 1")
}

func TestLineView(t *testing.T) {
	t.Parallel()
	start := time.Now()
	b := newBoard([]string{"blog/web", "shop/web"}, start, judgeUp)
	var out strings.Builder
	v := &lineView{out: &out, said: map[string]string{}}
	for _, s := range []*steadpb.Service{
		{Project: "shop", Name: "web", Phase: "pending", Want: "up", WaitsFor: []string{"db"}, Since: timestamp(start)},
		{Project: "shop", Name: "web", Phase: "backoff", Want: "up", Cause: "exit code 1", Since: timestamp(start), Until: timestamp(start.Add(2 * time.Second))},
		{Project: "shop", Name: "web", Phase: "ready", Want: "up", Ready: true, Since: timestamp(start.Add(time.Second))},
	} {
		b.update(&steadpb.StatusResponse{Services: []*steadpb.Service{s}})
		v.show(b, start)
		v.show(b, start.Add(time.Second)) // no news
	}
	want := `shop/web  pending  waits for db
shop/web  backoff  exit code 1; next start in 2.00s
shop/web  ready  1.00s
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestDetachKeys(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		typed  []string
		rest   string
		detach bool
	}{
		{[]string{"abc"}, "abc", false},
		{[]string{"ab\x1dc"}, "ab", true},
		{[]string{"a\x10\x11"}, "a", true},
		{[]string{"a\x10", "\x11"}, "a", true},
		{[]string{"a\x10", "b"}, "a\x10b", false},
		{[]string{"\x10\x10\x11"}, "\x10", true},
		{[]string{"\x11\x10"}, "\x11", false}, // the Ctrl-P is kept back
		{[]string{"\x10\x1d"}, "", true},
	} {
		var keys detachKeys
		rest, detach := "", false
		for _, typed := range tt.typed {
			part, end := keys.filter([]byte(typed))
			rest, detach = rest+string(part), detach || end
		}
		if rest != tt.rest || detach != tt.detach {
			t.Errorf("%q: got %q, %v; want %q, %v", tt.typed, rest, detach, tt.rest, tt.detach)
		}
	}
}
