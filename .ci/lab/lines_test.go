package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestReaderFindsFaults plants faults into a log: each must be found, and what
// a kill may do must not be called one.
func TestReaderFindsFaults(t *testing.T) {
	line := func(instance string, n int) logLine {
		return logLine{Instance: instance, Stream: "stdout", Text: fmt.Sprintf("out %d local/p/s/%s", n, instance) + written("plain")(n)}
	}
	cut := func(l logLine, bytes int) logLine { l.Text = l.Text[:bytes]; return l }
	a, b := "1/0/1", "1/0/2"
	for _, c := range []struct {
		name  string
		lines []logLine
		noted int
		fault string // "": none
	}{
		{"whole", []logLine{line(a, 1), line(a, 2), line(b, 3)}, 3, ""},
		{"noted, then killed", []logLine{line(a, 1), line(a, 2), line(b, 4)}, 5, ""},
		{"cut by a kill", []logLine{line(a, 1), cut(line(a, 2), 9), line(b, 3)}, 3, ""},
		{"cut within the number", []logLine{line(a, 1), cut(line(a, 2), 4), line(b, 3)}, 3, ""},
		{"in two pieces", []logLine{line(a, 1), cut(line(a, 2), 9), {Instance: a, Text: line(a, 2).Text[9:]}, line(a, 3)}, 3, ""},
		{"twice", []logLine{line(a, 1), line(a, 2), line(a, 2)}, 2, "there again"},
		{"twice, by the next one", []logLine{line(a, 1), line(a, 2), line(b, 2)}, 2, "there again"},
		{"missing in the middle", []logLine{line(a, 1), line(a, 3)}, 3, "missing in the middle"},
		{"cut in the middle", []logLine{line(a, 1), cut(line(a, 2), 9), line(a, 3)}, 3, "never wrote"},
		{"another byte", []logLine{line(a, 1), {Instance: a, Text: strings.Replace(line(a, 2).Text, "c", "d", 2)}}, 2, "never wrote"},
		{"by somebody else", []logLine{line(a, 1), {Instance: b, Text: line(a, 2).Text}, line(b, 3)}, 3, "never wrote"},
		{"too many missing", []logLine{line(a, 1), line(b, 9)}, 9, "missing at the ends"},
		{"nothing", nil, 3, "0 lines"},
	} {
		r := &reader{owner: "local/p/s", prefix: "out ", fill: written("plain")}
		for _, l := range c.lines {
			r.add(l)
		}
		err := r.end(c.noted)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v, want %q", c.name, err, c.fault)
		}
	}
}

func TestLedgerFindsFaults(t *testing.T) {
	exit := func(sequence uint64, instance string) event {
		return event{Sequence: sequence, Kind: "exit", Service: "web", Instance: instance, Text: "exit code 3; 1 process that it left behind was killed"}
	}
	ledgerOf := func(events ...event) ledger {
		l := ledger{}
		for _, e := range events {
			l[e.Sequence] = e
		}
		return l
	}
	told, err := ledgerOf(exit(1, "1/0/1"), exit(2, "1/0/2")).exits()
	if err != nil || told["web/1/0/2"] != "exit code 3" || gapless(told) != nil {
		t.Errorf("told %v, %v", told, err)
	}
	if _, err := ledgerOf(exit(1, "1/0/1"), exit(2, "1/0/1")).exits(); err == nil {
		t.Error("an exit told twice was not found")
	}
	if _, err := ledgerOf(exit(1, "1/0/1"), exit(3, "1/0/2")).exits(); err == nil {
		t.Error("a missing event was not found")
	}
	told, _ = ledgerOf(exit(1, "1/0/1"), exit(2, "1/0/3")).exits()
	if gapless(told) == nil {
		t.Error("a missing exit was not found")
	}
}

func TestModelMinds(t *testing.T) {
	alive := map[string][]process{"web": {{pid: 7}}}
	service := func(want, phase string, pids ...int) serviceStatus {
		s := serviceStatus{Name: "web", Want: want, Phase: phase}
		for _, pid := range pids {
			s.Instances = append(s.Instances, struct {
				PID  int    `json:"pid"`
				Exit string `json:"exit"`
			}{PID: pid})
		}
		return s
	}
	for _, c := range []struct {
		want  wish
		is    serviceStatus
		alive map[string][]process
		well  bool
	}{
		{wishUp, service("up", "ready", 7), alive, true},
		{wishUp, service("up", "ready", 8), alive, false},
		{wishUp, service("up", "ready"), alive, false},
		{wishUp, service("up", "failed"), nil, false},
		{wishUp, service("down", "stopped"), nil, false},
		{wishDown, service("down", "stopped"), nil, true},
		{wishDown, service("down", "stopped"), alive, false},
		{wishUnknown, service("down", "stopped"), nil, true},
		{wishUnknown, service("down", "ready", 7), alive, false},
	} {
		m := model{"web": c.want}
		if text := m.mind(c.is, c.alive); (text == "") != c.well {
			t.Errorf("%s, %+v: %q", c.want, c.is, text)
		}
	}
}

// The same seed gives the same strikes, also when some come in the calm part.
func TestSeedReproducesStrikes(t *testing.T) {
	first, second := plan(7), plan(7)
	for i := range 200 {
		a, b := next(first, false), next(second, i%2 == 0)
		if i%2 == 0 {
			b.kind = a.kind
		}
		if a != b {
			t.Fatalf("strike %d: %+v and %+v", i, a, b)
		}
	}
}
