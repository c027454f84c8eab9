package manifest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stead-dev/stead/runtime"
)

// TestProbesAndLimits reads each form of what a service is asked and allowed.
func TestProbesAndLimits(t *testing.T) {
	p := load(t, `
services:
  grpc: {command: a, ports: {http: 1001, grpc: 1002}, ready: grpc, live: {grpc: shop.Cart, interval: 5s, failures: 1, timeout: 2s}}
  log: {command: a, ready: "log: listening on", live: GET /x, ports: 1003}
  pattern: {command: a, ready: {log: "/on [0-9]+$/", deadline: 5s}}
  notify: {command: a, ready: notify, liveness: {notify: , interval: 30s}}
  again: {command: a, ready: {exec: ./check, interval: 1s, failures: 2}, live: "exec: ./alive -v"}
  codes: {command: a, success_exit_codes: [0, 143, 7]}
  limits: {command: a, limits: {memory: 1.5Gi, cpus: 0.5, pids: 200}}
  decimal: {command: a, limits: {memory: 512M, cpus: "2"}}
`)
	type asked struct {
		Ready, Live *runtime.Probe
		Deadline    time.Duration
		Codes       []int
		Limits      runtime.Limits
	}
	want := map[string]asked{
		"grpc": {Deadline: time.Minute, Ready: &runtime.Probe{Kind: runtime.ProbeGRPC, Port: "grpc"},
			Live: &runtime.Probe{Kind: runtime.ProbeGRPC, Port: "grpc", Service: "shop.Cart", Interval: 5 * time.Second, Failures: 1, Timeout: 2 * time.Second}},
		"log": {Deadline: time.Minute, Ready: &runtime.Probe{Kind: runtime.ProbeLog, Text: "listening on"},
			Live: &runtime.Probe{Kind: runtime.ProbeHTTP, Port: "http", Path: "/x"}},
		"pattern": {Deadline: 5 * time.Second, Ready: &runtime.Probe{Kind: runtime.ProbeLog, Text: "/on [0-9]+$/"}},
		"notify": {Deadline: time.Minute, Ready: &runtime.Probe{Kind: runtime.ProbeNotify},
			Live: &runtime.Probe{Kind: runtime.ProbeNotify, Interval: 30 * time.Second}},
		"again": {Deadline: time.Minute, Ready: &runtime.Probe{Kind: runtime.ProbeExec, Command: []string{"./check"}, Interval: time.Second, Failures: 2},
			Live: &runtime.Probe{Kind: runtime.ProbeExec, Command: []string{"./alive", "-v"}}},
		"codes":   {Codes: []int{143, 7}},
		"limits":  {Limits: runtime.Limits{Memory: 3 << 29, MilliCPU: 500, PIDs: 200}},
		"decimal": {Limits: runtime.Limits{Memory: 512e6, MilliCPU: 2000}},
	}
	got := map[string]asked{}
	for name, s := range p.Services {
		got[name] = asked{s.Spec.Ready, s.Spec.Live, s.Spec.ReadyTimeout, s.Spec.SuccessCodes, s.Spec.Limits}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
