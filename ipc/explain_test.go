package ipc

import (
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/supervisor"
)

func TestExplain(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	name := func(s string) supervisor.Name { return supervisor.Name{Environment: "local", Project: "p", Service: s} }
	generation := func(phase supervisor.Phase, kind supervisor.CauseKind, text string) []supervisor.Generation {
		return []supervisor.Generation{{Number: 1, Phase: phase, Since: now.Add(-time.Minute), Cause: supervisor.Cause{Kind: kind, Text: text}}}
	}
	up := supervisor.Want{Up: true}
	for _, c := range []struct {
		name     string
		services []supervisor.Service
		problem  string
		kind     string
		summary  string
		hint     string
	}{
		{
			name: "down", services: []supervisor.Service{{}},
			kind: "down", summary: "web is down, as nobody has asked for it", hint: "stead up web",
		},
		{
			name: "ready", services: []supervisor.Service{{Want: up, Routed: 1, Generations: generation(supervisor.PhaseReady, "", "")}},
			kind: "none", summary: "web is ready for 1m0s",
		},
		{
			name: "failed", services: []supervisor.Service{{Want: up, Generations: generation(supervisor.PhaseFailed, supervisor.CauseExit, "exit code 137")}},
			kind: "exit", summary: "web has failed: exit code 137", hint: "SIGKILL",
		},
		{
			name: "memory", services: []supervisor.Service{{Want: up, Generations: generation(supervisor.PhaseFailed, supervisor.CauseMemory, "killed by the kernel: out of memory")}},
			kind: "memory", summary: "web has failed: killed by the kernel: out of memory", hint: "give web more memory",
		},
		{
			name: "pull", services: []supervisor.Service{{Want: up, Generations: generation(supervisor.PhaseFailed, supervisor.CauseStart, "the image cannot be pulled: dial tcp 10.0.0.1:443: connection refused")}},
			kind: "start", summary: "web has failed: the image cannot be pulled", hint: "that the image of web has that name where the cluster pulls from",
		},
		{
			name: "port", services: []supervisor.Service{{Want: up, Generations: generation(supervisor.PhaseFailed, supervisor.CauseStart, "port 9001 is already taken by pid 7 (postgres)")}},
			kind: "start", summary: "already taken by pid 7 (postgres)", hint: "give web another port",
		},
		{
			name: "build", services: []supervisor.Service{{Want: up, Generations: generation(supervisor.PhaseFailed, supervisor.CauseBuild, "build failed: web/main.go:12:3: undefined: x")}},
			kind: "build", summary: "web/main.go:12:3", hint: "mend what the compiler says",
		},
		{
			name: "the daemon's own trouble", services: []supervisor.Service{{Want: up, Generations: generation(supervisor.PhaseStarting, "", "")}},
			problem: "the runtime cannot be reached: gone", kind: "daemon", summary: "the runtime cannot be reached: gone",
		},
		{
			name: "waits for one that failed",
			services: []supervisor.Service{
				{Want: up, Plan: supervisor.Plan{DependsOn: []supervisor.Dependency{{Service: "db", Condition: supervisor.ConditionHealthy}}}, Generations: generation(supervisor.PhasePending, "", "")},
				{Name: name("db"), Want: up, Generations: generation(supervisor.PhaseFailed, supervisor.CauseExit, "exit code 1")},
			},
			kind: "dependency", summary: "web is pending: it waits for db, and db has failed: exit code 1", hint: "stead logs db",
		},
		{
			name: "waits for one that comes up",
			services: []supervisor.Service{
				{Want: up, Plan: supervisor.Plan{DependsOn: []supervisor.Dependency{{Service: "db", Condition: supervisor.ConditionHealthy}}}, Generations: generation(supervisor.PhasePending, "", "")},
				{Name: name("db"), Want: up, Generations: generation(supervisor.PhaseStarting, "", "")},
			},
			kind: "waiting", summary: "db has been started, and is not ready for 1m0s",
		},
	} {
		p := &Present{State: supervisor.State{Services: map[supervisor.Name]*supervisor.Service{}}, Problem: c.problem}
		for i := range c.services {
			s := &c.services[i]
			if s.Name.Service == "" {
				s.Name = name("web")
			}
			p.State.Services[s.Name] = s
		}
		e := explain(p, name("web"), now)
		if e.kind != c.kind || !strings.Contains(e.summary, c.summary) || !strings.Contains(e.hint, c.hint) {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}
