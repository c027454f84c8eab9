package ipc

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// looker is a Backend that counts how often it looks.
type looker struct {
	Backend
	halted runtime.InstanceID
	asked  []supervisor.ID
	bound  bool
}

func (l *looker) Inspect(ctx context.Context, ids []supervisor.ID) []runtime.Inspection {
	l.asked = ids
	_, l.bound = ctx.Deadline()
	return []runtime.Inspection{{Instance: l.halted, Halted: "traced by dlv\xff (pid 41)"}}
}

func runningOnes(n int) (*Present, supervisor.Name) {
	name := supervisor.Name{Environment: "local", Project: "shop", Service: "web"}
	s := supervisor.Service{Name: name, Want: supervisor.Want{Up: true}, Routed: 2, Generations: []supervisor.Generation{
		{Number: 1, Phase: supervisor.PhaseStopped, Instances: []supervisor.Instance{{Attempt: 1, Exit: "exit code 0"}}},
		{Number: 2, Phase: supervisor.PhaseReady},
	}}
	for replica := range n {
		s.Generations[1].Instances = append(s.Generations[1].Instances, supervisor.Instance{Replica: replica, Attempt: 1, PID: 100 + replica, Ready: true, Since: time.Unix(1, 0)})
	}
	return &Present{State: supervisor.State{Services: map[supervisor.Name]*supervisor.Service{name: &s}}}, name
}

func TestHaltedIsAskedOnceForWhatRuns(t *testing.T) {
	p, name := runningOnes(2)
	s := p.State.Service(name)
	l := &looker{halted: instanceID(name, 2, s.Generations[1].Instances[1])}
	why := handlers{&Server{backend: l}}.halted(t.Context(), p, []supervisor.Name{name})
	if len(l.asked) != 1 || l.asked[0].Number != 2 || !l.bound {
		t.Errorf("asked for %v, bounded %v", l.asked, l.bound)
	}
	view := serviceView(p, name)
	sayHalted(view, s, why)
	if want := "traced by dlv\uFFFD (pid 41)"; view.Halted != want || view.Instances[2].Halted != want || view.Instances[1].Halted != "" {
		t.Errorf("%v", view)
	}
}

func TestHaltedIsNotAskedOfACrowd(t *testing.T) {
	for _, n := range []int{0, haltedMost + 1} {
		p, name := runningOnes(n)
		l := &looker{}
		if why := (handlers{&Server{backend: l}}).halted(t.Context(), p, []supervisor.Name{name}); why != nil || l.asked != nil {
			t.Errorf("%d instances: %v", n, why)
		}
	}
}

func TestDeathBesideTheOldOneHintsAtRestart(t *testing.T) {
	for _, test := range []struct {
		reload supervisor.Reload
		cause  supervisor.Cause
		hint   string
	}{
		{supervisor.ReloadOverlap, supervisor.Cause{Kind: supervisor.CauseExit, Text: "ended before it was ready: exit code 1"}, "write: reload: restart"},
		{supervisor.ReloadOverlap, supervisor.Cause{Kind: supervisor.CauseExit, Text: "ended before it was ready: not ready within 1m0s: connection refused on 127.0.0.1:1"}, "listens on $PORT"},
		{supervisor.ReloadOverlap, supervisor.Cause{Kind: supervisor.CauseBuild, Text: "the build failed"}, "mend what the compiler says"},
		{supervisor.ReloadRestart, supervisor.Cause{Kind: supervisor.CauseExit, Text: "ended before it was ready: exit code 1"}, "read what it wrote"},
	} {
		p, name := runningOnes(1)
		s := p.State.Services[name]
		s.Plan.Reload, s.Rejected, s.Cause = test.reload, "revision", test.cause
		if e := explain(p, name, time.Unix(2, 0)); e.kind != "rejected" || !strings.Contains(e.hint, test.hint) {
			t.Errorf("%s, %s: %s: %q, want %q", test.reload, test.cause.Text, e.kind, e.hint, test.hint)
		}
	}
}
