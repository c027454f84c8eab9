package main

import (
	"testing"
	"time"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	restarted := judgeRestart(map[string]uint64{"shop/web": 3})
	for _, tt := range []struct {
		name  string
		judge judge
		s     *steadpb.Service
		want  verdict
	}{
		{"up: gone", judgeUp, nil, bad},
		{"up: ready", judgeUp, &steadpb.Service{Phase: "ready", Generation: 1}, good},
		{"up: one-shot that runs", judgeUp, &steadpb.Service{Phase: "ready", Generation: 1, OneShot: true}, moving},
		{"up: one-shot on a terminal", judgeUp, &steadpb.Service{Phase: "ready", Generation: 1, OneShot: true, Terminal: true}, good},
		{"up: completed", judgeUp, &steadpb.Service{Phase: "completed"}, good},
		{"up: starting", judgeUp, &steadpb.Service{Phase: "starting", NextGeneration: 1}, moving},
		{"up: unready", judgeUp, &steadpb.Service{Phase: "unready", Generation: 1}, moving},
		{"up: backoff", judgeUp, &steadpb.Service{Phase: "backoff", Cause: "exit code 1"}, moving},
		{"up: failed", judgeUp, &steadpb.Service{Phase: "failed"}, bad},
		{"up: failed with the runtime", judgeUp, &steadpb.Service{Phase: "failed", CauseKind: "runtime"}, moving},
		{"up: new one will not come", judgeUp, &steadpb.Service{Phase: "ready", Generation: 1, NextGeneration: 2, CauseKind: "dependency", Cause: "db failed"}, bad},
		{"up: new one comes", judgeUp, &steadpb.Service{Phase: "ready", Generation: 1, NextGeneration: 2}, moving},
		{"up: new one dropped", judgeUp, &steadpb.Service{Phase: "ready", Generation: 1, Cause: "exit code 1"}, bad},
		{"up: dependency failed", judgeUp, &steadpb.Service{Phase: "pending", CauseKind: "dependency"}, bad},
		{"up: stopped meanwhile", judgeUp, &steadpb.Service{Phase: "stopping", Want: "down"}, bad},
		{"down: gone", judgeDown, nil, good},
		{"down: stopping", judgeDown, &steadpb.Service{Phase: "stopping"}, moving},
		{"down: ready yet", judgeDown, &steadpb.Service{Phase: "ready"}, moving},
		{"down: stopped", judgeDown, &steadpb.Service{Phase: "stopped"}, good},
		{"down: up again", judgeDown, &steadpb.Service{Phase: "ready", Want: "up"}, good},
		{"restart: old one", restarted, &steadpb.Service{Project: "shop", Name: "web", Phase: "ready", Generation: 3}, moving},
		{"restart: new one", restarted, &steadpb.Service{Project: "shop", Name: "web", Phase: "ready", Generation: 4}, good},
		{"restart: old one completed", restarted, &steadpb.Service{Project: "shop", Name: "web", Phase: "completed", Generation: 3}, moving},
		{"restart: new one dropped", restarted, &steadpb.Service{Project: "shop", Name: "web", Phase: "ready", Generation: 3, Cause: "x"}, bad},
	} {
		if got := tt.judge(tt.s); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A service that waits for one that waits for a failed one will not start.
func TestVerdictsOfDependents(t *testing.T) {
	t.Parallel()
	b := newBoard([]string{"shop/web", "shop/api", "shop/db"}, time.Now(), judgeUp)
	if b.settled() {
		t.Error("settled before anything is known")
	}
	b.update(&steadpb.StatusResponse{Services: []*steadpb.Service{
		{Project: "shop", Name: "web", Phase: "pending", WaitsFor: []string{"api"}},
		{Project: "shop", Name: "api", Phase: "pending", WaitsFor: []string{"db"}},
		{Project: "shop", Name: "db", Phase: "failed"},
	}})
	if !b.settled() || len(b.all(bad)) != 3 {
		t.Errorf("bad: %v", b.all(bad))
	}
}
