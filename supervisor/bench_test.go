package supervisor

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkStep1000 starts 1,000 services in batches of 256 events, as the
// daemon does: 10 databases that 990 others need.
func BenchmarkStep1000(b *testing.B) {
	plans := make(map[string]Plan)
	var all []Name
	for i := range 1000 {
		name := fmt.Sprintf("s%03d", i)
		p := Plan{Revision: "v1"}
		if i >= 10 {
			p.DependsOn = []Dependency{{Service: fmt.Sprintf("s%03d", i%10), Condition: ConditionHealthy}}
		}
		plans[name] = p
		all = append(all, named(name))
	}
	b.ReportAllocs()
	steps := 0
	for b.Loop() {
		steps += startAll(b, plans, all)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps)/1000, "ns/service/batch")
}

func startAll(b *testing.B, plans map[string]Plan, all []Name) (steps int) {
	s := New(200, nil, false)
	now := time.Unix(1000, 0)
	todo := []Event{Attached{}, Synced{}, Applied{"local", "shop", plans}, Wanted{Names: all, Up: true}}
	routed := 0
	for len(todo) > 0 {
		n := min(256, len(todo))
		var commands []Command
		s, commands = Step(s, now, todo[:n]...)
		todo = todo[n:]
		steps++
		for _, c := range commands {
			switch c := c.(type) {
			case Start:
				todo = append(todo, Reported{ID: c.ID, Revision: "v1", Phase: ReportedRunning},
					InstanceStarted{ID: c.ID, Attempt: 1, PID: 1}, InstanceReady{ID: c.ID, Attempt: 1, Ready: true})
			case Route:
				routed++
			}
		}
	}
	if routed != 1000 {
		b.Fatalf("%d of 1,000 routed", routed)
	}
	return steps
}

// BenchmarkStepOne is one event while 1,000 services run.
func BenchmarkStepOne(b *testing.B) {
	plans := make(map[string]Plan)
	for i := range 1000 {
		plans[fmt.Sprintf("s%03d", i)] = Plan{Revision: "v1"}
	}
	now := time.Unix(1000, 0)
	s, _ := Step(New(1000, nil, false), now, Attached{}, Synced{}, Applied{"local", "shop", plans},
		Wanted{Names: []Name{named("s500")}, Up: true})
	id := ID{named("s500"), 1}
	ready := true
	b.ReportAllocs()
	for b.Loop() {
		s, _ = Step(s, now, InstanceStarted{ID: id, Attempt: 1}, InstanceReady{ID: id, Attempt: 1, Ready: ready})
		ready = !ready
	}
}
