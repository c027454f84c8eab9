package ipc

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

func TestServiceView(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	stamp := timestamppb.New(at)
	name := supervisor.Name{Environment: "local", Project: "/shop", Service: "web"}
	plan := supervisor.Plan{Revision: "r", DependsOn: []supervisor.Dependency{{Service: "db", Condition: supervisor.ConditionHealthy}}}
	up := supervisor.Want{Up: true, Keep: true}
	generation := func(n uint64, phase supervisor.Phase, instances ...supervisor.Instance) supervisor.Generation {
		return supervisor.Generation{Number: n, Plan: plan, Phase: phase, Since: at, Instances: instances}
	}
	spec := runtime.Spec{Dir: "/shop/\xff", Terminal: true, Ports: []runtime.Port{
		{Name: "http", Number: 9001, Protocol: "http"}, {Name: "grpc", Protocol: "http"}, {Name: "db", Number: 5432, Protocol: "tcp"}, {Name: "late", Protocol: "tcp"}}}
	base := func(change func(*steadpb.Service)) *steadpb.Service {
		out := &steadpb.Service{Project: "shop", ProjectId: "/shop", Name: "web", Want: "up", Keep: true, Terminal: true,
			Directory: "/shop/\uFFFD", DependsOn: []string{"db"}}
		change(out)
		return out
	}
	cases := []struct {
		name    string
		service supervisor.Service
		want    *steadpb.Service
	}{
		{"never started, waits", supervisor.Service{Name: name, Plan: plan, Want: up},
			base(func(s *steadpb.Service) { s.Phase = "pending"; s.WaitsFor = []string{"db"} })},
		{"ready", supervisor.Service{Name: name, Plan: plan, Want: up, Routed: 3, Generations: []supervisor.Generation{
			generation(3, supervisor.PhaseReady, supervisor.Instance{Attempt: 2, PID: 7, Ready: true, Since: at, Endpoints: map[string]string{"grpc": "127.0.0.1:40001"}}),
		}}, base(func(s *steadpb.Service) {
			s.Phase, s.Ready, s.Generation, s.Since = "ready", true, 3, stamp
			s.Urls = []string{"http://127.0.0.1:9001", "grpc://127.0.0.1:40001", "tcp://127.0.0.1:5432"}
			s.Instances = []*steadpb.Instance{{Id: "3/0/2", Pid: 7, Phase: "ready", Since: stamp, Attempt: 2, Generation: 3, Endpoints: map[string]string{"grpc": "127.0.0.1:40001"}}}
		})},
		{"a new one starts beside it", supervisor.Service{Name: name, Plan: plan, Want: up, Routed: 3, Generations: []supervisor.Generation{
			generation(3, supervisor.PhaseReady, supervisor.Instance{PID: 7, Ready: true, Since: at}),
			generation(4, supervisor.PhaseStarting, supervisor.Instance{PID: 8, Since: at}),
		}}, base(func(s *steadpb.Service) {
			s.Phase, s.Ready, s.Generation, s.NextGeneration, s.Since = "ready", true, 3, 4, stamp
			s.Urls = []string{"http://127.0.0.1:9001", "tcp://127.0.0.1:5432"}
			s.Instances = []*steadpb.Instance{
				{Id: "3/0/0", Pid: 7, Phase: "ready", Since: stamp, Generation: 3},
				{Id: "4/0/0", Pid: 8, Phase: "starting", Since: stamp, Generation: 4}}
		})},
		{"failed", supervisor.Service{Name: name, Plan: plan, Want: up, Generations: []supervisor.Generation{
			{Number: 1, Plan: plan, Phase: supervisor.PhaseFailed, Since: at, Restarts: 5,
				Cause:     supervisor.Cause{Kind: supervisor.CauseExit, Text: "exit code 3"},
				Instances: []supervisor.Instance{{PID: 9, Attempt: 6, Since: at, Exit: "exit code 3"}}},
		}}, base(func(s *steadpb.Service) {
			s.Phase, s.Generation, s.Since, s.Restarts, s.Cause, s.CauseKind = "failed", 1, stamp, 5, "exit code 3", "exit"
			s.Instances = []*steadpb.Instance{{Id: "1/0/6", Phase: "failed", Since: stamp, Attempt: 6, Generation: 1, Exit: "exit code 3"}}
		})},
		{"a rejected build beside what serves", supervisor.Service{Name: name, Plan: plan, Want: up, Routed: 1, Rejected: "r2",
			Cause:       supervisor.Cause{Kind: supervisor.CauseBuild, Text: "main.go:3: oops"},
			Generations: []supervisor.Generation{generation(1, supervisor.PhaseReady)},
		}, base(func(s *steadpb.Service) {
			s.Phase, s.Ready, s.Generation, s.Since = "ready", true, 1, stamp
			s.Urls = []string{"http://127.0.0.1:9001", "tcp://127.0.0.1:5432"}
			s.Cause, s.CauseKind = "main.go:3: oops", "build"
		})},
	}
	for _, c := range cases {
		p := &Present{
			State:    supervisor.State{Services: map[supervisor.Name]*supervisor.Service{name: &c.service}},
			Projects: map[string]Project{"/shop": {ID: "/shop", Name: "shop"}},
			Specs:    map[supervisor.Name]runtime.Spec{name: spec},
		}
		if diff := cmp.Diff(c.want, serviceView(p, name), protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestInstancePhase(t *testing.T) {
	cases := []struct {
		phase    supervisor.Phase
		was      bool
		instance supervisor.Instance
		want     supervisor.Phase
	}{
		{supervisor.PhaseStarting, false, supervisor.Instance{}, supervisor.PhaseStarting},
		{supervisor.PhaseUnready, true, supervisor.Instance{}, supervisor.PhaseUnready},
		{supervisor.PhaseUnready, true, supervisor.Instance{Ready: true}, supervisor.PhaseReady}, // another replica's fault
		{supervisor.PhaseReady, true, supervisor.Instance{Exit: "x"}, supervisor.PhaseStopped},
		{supervisor.PhaseBackoff, true, supervisor.Instance{Exit: "x"}, supervisor.PhaseBackoff},
		{supervisor.PhaseCompleted, true, supervisor.Instance{Exit: "x"}, supervisor.PhaseCompleted},
		{supervisor.PhaseDraining, true, supervisor.Instance{Ready: true}, supervisor.PhaseDraining},
		{supervisor.PhaseStopping, true, supervisor.Instance{Ready: true}, supervisor.PhaseStopping},
	}
	for _, c := range cases {
		g := supervisor.Generation{Phase: c.phase, WasReady: c.was}
		if got := instancePhase(g, c.instance); got != c.want {
			t.Errorf("%v %+v: %s, want %s", c.phase, c.instance, got, c.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	known := []string{"api", "catalog", "web", "worker"}
	for word, want := range map[string]string{
		"wbe": `, did you mean "web"?`, "ap": `, did you mean "api"?`, "cataloge": `, did you mean "catalog"?`,
		"wroker": `, did you mean "worker"?`, "zzz": "", "": "",
	} {
		if got := didYouMean(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
