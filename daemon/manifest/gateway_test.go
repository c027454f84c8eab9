package manifest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// loadBehind loads a manifest for a daemon that has a gateway. Ports are
// chosen from 20001 on.
func loadBehind(t *testing.T, text string) *Project {
	t.Helper()
	next := 20000
	dir := filepath.Join(t.TempDir(), "shop")
	write(t, dir, FileName, text)
	p, _, err := Load(Request{Directory: dir, Gateway: true, AutoPort: func(string, string, string) (int, error) { next++; return next, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPorts: each form of a port, who listens where, and how the service is
// reloaded because of it.
func TestPorts(t *testing.T) {
	const overlap, restart = supervisor.ReloadOverlap, supervisor.ReloadRestart
	for _, c := range []struct {
		service   string
		published []Published
		ports     []runtime.Port
		sockets   []string
		proxied   bool
		reload    supervisor.Reload
		urls      []string
	}{
		{
			"ports: 9001", []Published{{"http", 9001, "http", ModeProxy}}, []runtime.Port{{Name: "http", Protocol: "http"}},
			nil, true, overlap, []string{"http://127.0.0.1:9001"},
		}, {
			"ports: {grpc: auto}", []Published{{"grpc", 20001, "http", ModeProxy}}, []runtime.Port{{Name: "grpc", Protocol: "http"}},
			nil, true, overlap, []string{"grpc://127.0.0.1:20001"},
		}, {
			`ports: ["8080:3000"]`, []Published{{"http", 8080, "http", ModeProxy}}, []runtime.Port{{Name: "http", Number: 3000, Protocol: "http"}},
			nil, true, restart, []string{"http://127.0.0.1:8080"},
		}, {
			`ports: {http: "auto:3000"}`, []Published{{"http", 20001, "http", ModeProxy}}, []runtime.Port{{Name: "http", Number: 3000, Protocol: "http"}},
			nil, true, restart, []string{"http://127.0.0.1:20001"},
		}, {
			"ports: {db: {port: 5432, protocol: tcp, target: 3000, mode: proxy}}", []Published{{"db", 5432, "tcp", ModeProxy}},
			[]runtime.Port{{Name: "db", Number: 3000, Protocol: "tcp"}}, nil, true, restart, []string{"tcp://127.0.0.1:5432"},
		}, {
			"ports: {live: {port: 9001, protocol: ws}, ws: 9002}", []Published{{"live", 9001, "http", ModeProxy}, {"ws", 9002, "http", ModeProxy}},
			[]runtime.Port{{Name: "live", Protocol: "http"}, {Name: "ws", Protocol: "http"}},
			nil, true, overlap, []string{"http://127.0.0.1:9001", "http://127.0.0.1:9002"},
		}, {
			"ports: {http: {port: 9001, mode: self}}", []Published{{"http", 9001, "http", ModeSelf}}, []runtime.Port{{Name: "http", Number: 9001, Protocol: "http"}},
			nil, false, restart, []string{"http://127.0.0.1:9001"},
		}, {
			"ports: {db: {port: auto, mode: inherit}}", []Published{{"db", 20001, "tcp", ModeInherit}}, []runtime.Port{{Name: "db", Number: 20001, Protocol: "tcp"}},
			[]string{"ID/x/db 127.0.0.1:20001", "ID/x/db [::1]:20001"}, false, overlap, []string{"tcp://127.0.0.1:20001"},
		}, {
			"ports: {http: 9001, admin: {port: 9002, mode: inherit}}", []Published{{"http", 9001, "http", ModeProxy}, {"admin", 9002, "tcp", ModeInherit}},
			[]runtime.Port{{Name: "http", Protocol: "http"}, {Name: "admin", Number: 9002, Protocol: "tcp"}},
			[]string{"ID/x/admin 127.0.0.1:9002", "ID/x/admin [::1]:9002"}, true, overlap, []string{"http://127.0.0.1:9001", "tcp://127.0.0.1:9002"},
		}, {
			"ports: {http: 9001, admin: {port: 9002, mode: self}}", []Published{{"http", 9001, "http", ModeProxy}, {"admin", 9002, "tcp", ModeSelf}},
			[]runtime.Port{{Name: "http", Protocol: "http"}, {Name: "admin", Number: 9002, Protocol: "tcp"}},
			nil, true, restart, []string{"http://127.0.0.1:9001", "tcp://127.0.0.1:9002"},
		},
	} {
		t.Run(c.service, func(t *testing.T) {
			p := loadBehind(t, "services:\n  x: {command: x, "+c.service+"}\n  user: {command: y, depends_on: [x]}\n")
			s := p.Services["x"]
			var sockets []string
			for _, one := range s.Spec.Sockets {
				sockets = append(sockets, strings.Replace(one.Name, p.ID, "ID", 1)+" "+one.Address)
			}
			for what, pair := range map[string][2]any{
				"published": {c.published, s.Published}, "ports": {c.ports, s.Spec.Ports}, "sockets": {c.sockets, sockets},
				"plan": {fmt.Sprint(c.proxied, c.reload), fmt.Sprint(s.Plan.Proxied, s.Plan.Reload)}, "urls": {c.urls, s.URLs},
				"user": {c.urls[0], p.Services["user"].Spec.Environment["STEAD_X_URL"]},
			} {
				if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}

// TestPublishedNumberIsNoRevision: another published number is another
// listener of the gateway, and needs no new generation.
func TestPublishedNumberIsNoRevision(t *testing.T) {
	dir := t.TempDir()
	revision := func(service string) string {
		write(t, dir, FileName, "services: {x: {command: x, "+service+"}}")
		p, _, err := Load(Request{Directory: dir, Gateway: true})
		if err != nil {
			t.Fatal(err)
		}
		return p.Services["x"].Plan.Revision
	}
	if revision("ports: 9001") != revision("ports: 9002") {
		t.Error("proxy: a new revision")
	}
	if revision("ports: {http: {port: 9001, mode: inherit}}") == revision("ports: {http: {port: 9002, mode: inherit}}") {
		t.Error("inherit: the same revision, with another socket")
	}
}

// TestTakenBehindTheGateway: what is published elsewhere falls back to auto, what the
// service insists on cannot.
func TestTakenBehindTheGateway(t *testing.T) {
	taken := func(_, _, _ string, number int) string {
		if number == 8080 || number == 3000 {
			return fmt.Sprintf("%d is that of other/web", number)
		}
		return ""
	}
	dir := t.TempDir()
	write(t, dir, FileName, `services: {x: {command: x, ports: {http: "8080:3000"}}}`)
	p, warnings, err := Load(Request{Directory: dir, Gateway: true, Taken: taken, AutoPort: func(string, string, string) (int, error) { return 20001, nil }})
	if err != nil {
		t.Fatal(err)
	}
	s := p.Services["x"]
	if s.Published[0].Number != 20001 || s.Spec.Ports[0].Number != 3000 || s.Taken["http"] != 8080 {
		t.Errorf("%+v", s)
	}
	text := runtime.Diagnostics(warnings).Error()
	for _, want := range []string{"8080 is that of other/web; it is 20001 instead", "3000 is that of other/web, and x insists on it"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

// TestReload: how a change takes effect, by default and as written.
func TestReload(t *testing.T) {
	for service, want := range map[string]string{
		"restart: always":                                "restart",
		"reload: overlap":                                "overlap",
		"ports: 9001":                                    "overlap",
		"ports: 9001, replicas: 3":                       "overlap",
		"ports: 9001, tty: true":                         "restart",
		"ports: 9001, data: {a: ./a}":                    "restart",
		"ports: 9001, reload: restart":                   "restart",
		"ports: 9001, reload: none":                      "none",
		"reload: 'signal: HUP'":                          "signal HUP",
		"reload: {signal: SIGUSR2}, ports: 9001":         "signal USR2",
		"reload: 'signal: usr1', data: {a: ./a}":         "signal USR1",
		"restart: no":                                    "restart",
		"ports: {a: {port: 1, mode: self}}":              "restart",
		"ports: {a: {port: 1, mode: inherit}, b: 2}":     "overlap",
		"ports: {a: {port: 1, mode: inherit}, b: '2:3'}": "restart",
	} {
		plan := loadBehind(t, "services: {x: {command: x, "+service+"}}").Services["x"].Plan
		if got := strings.TrimSpace(string(plan.Reload) + " " + plan.Signal); got != want {
			t.Errorf("%s: %s, want %s", service, got, want)
		}
	}
}

func TestStartOnDemand(t *testing.T) {
	p := loadBehind(t, "services: {x: {command: x, ports: 9001, start: on-demand, idle: 10m, drain: 30s}, y: {command: y, start: up}}")
	if plan := p.Services["x"].Plan; !plan.OnDemand || plan.Idle != 10*time.Minute || plan.Drain != 30*time.Second {
		t.Errorf("%+v", plan)
	}
	if plan := p.Services["y"].Plan; plan.OnDemand || plan.Idle != 0 || plan.Drain != 0 {
		t.Errorf("%+v", plan)
	}
}

func TestLongBuild(t *testing.T) {
	p := loadBehind(t, `services:
  x:
    command: bin/x
    working_dir: app
    build:
      command: make | tee out
      dir: src
      timeout: 2m
      matchers:
        - {pattern: '^(?P<file>[^:]+):(?P<line>\d+): (?P<message>.*)$', severity: warning}
        - {pattern: '^(\w+) (.*) at (.+)@(\d+),(\d+)$', severity: 1, message: 2, file: 3, line: 4, column: 5}
  y: {command: y, build: make}
`)
	s := p.Services["x"]
	if want := filepath.Join(p.Directory, "src"); s.Build.Dir != want || s.Watch.Dir != want || s.BuildTimeout != 2*time.Minute {
		t.Errorf("%+v", s)
	}
	if diff := cmp.Diff([]string{"sh", "-c", "make | tee out"}, s.Build.Command); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Matcher{
		{Pattern: `^(?P<file>[^:]+):(?P<line>\d+): (?P<message>.*)$`, File: 1, Line: 2, Message: 3, Level: runtime.SeverityWarning},
		{Pattern: `^(\w+) (.*) at (.+)@(\d+),(\d+)$`, File: 3, Line: 4, Column: 5, Severity: 1, Message: 2, Level: runtime.SeverityError},
	}, s.Matchers); diff != "" {
		t.Errorf("matchers (-want +got):\n%s", diff)
	}
	if y := p.Services["y"]; y.BuildTimeout != 10*time.Minute || y.Build.Dir != p.Directory {
		t.Errorf("%+v", y)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back Project
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*p, back, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("through JSON (-want +got):\n%s", diff)
	}
}
