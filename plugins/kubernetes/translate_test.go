package kubernetes

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/stead-dev/stead/runtime"
)

func TestExitOf(t *testing.T) {
	type ended = corev1.ContainerStateTerminated
	for name, c := range map[string]struct {
		in   ended
		want runtime.Exit
	}{
		"well":            {ended{ExitCode: 0, Reason: "Completed"}, runtime.Exit{}},
		"a code":          {ended{ExitCode: 3, Reason: "Error"}, runtime.Exit{Code: 3}},
		"255 is a code":   {ended{ExitCode: 255, Reason: "Error"}, runtime.Exit{Code: 255}},
		"SIGTERM":         {ended{ExitCode: 143, Reason: "Error"}, runtime.Exit{Code: -1, Signal: "SIGTERM"}},
		"SIGKILL":         {ended{ExitCode: 137, Reason: "Error"}, runtime.Exit{Code: -1, Signal: "SIGKILL"}},
		"a signal is set": {ended{ExitCode: 1, Signal: 6}, runtime.Exit{Code: -1, Signal: "SIGABRT"}},
		"out of memory":   {ended{ExitCode: 137, Reason: "OOMKilled"}, runtime.Exit{Code: -1, Signal: "SIGKILL", OOM: true}},
		"no such command": {
			ended{ExitCode: 128, Reason: "StartError", Message: `failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/no": stat /no: no such file or directory: unknown`},
			runtime.Exit{Code: -1, Error: `exec: "/no": stat /no: no such file or directory`},
		},
		"the node is lost": {ended{ExitCode: 137, Reason: "ContainerStatusUnknown"}, runtime.Exit{Code: -1, Lost: true, Error: "the node does not know how it ended"}},
		"as good as 0":     {ended{ExitCode: 42}, runtime.Exit{Code: 42, Expected: true}},
	} {
		if got := exitOf(&c.in, []int{42}); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestWaiting(t *testing.T) {
	for _, c := range []struct {
		reason, message string
		want            string
		hard            bool
		until           time.Duration
	}{
		{"ContainerCreating", "", "", false, 0},
		{"PodInitializing", "", "", false, 0},
		{"CrashLoopBackOff", "back-off 1m20s restarting failed container=web pod=web-1", "it ends again and again: back-off 1m20s restarting failed container=web pod=web-1", false, 80 * time.Second},
		{"ErrImagePull", "dial tcp: connection refused", "the image cannot be pulled: dial tcp: connection refused", false, 0},
		{"ImagePullBackOff", `Back-off pulling image "x"`, `the image cannot be pulled: Back-off pulling image "x"`, true, 0},
		{"ErrImageNeverPull", "not present", "the image is not on the node, and must not be pulled: not present", true, 0},
		{"InvalidImageName", "couldn't parse", "the image has no valid name: couldn't parse", true, 0},
		{"CreateContainerConfigError", `configmap "web-1" not found`, `its configuration is incomplete: configmap "web-1" not found`, true, 0},
		{"CreateContainerError", "name is taken", "the container cannot be made: name is taken", true, 0},
		{"SomethingNew", "said so", "SomethingNew: said so", false, 0},
	} {
		got := waiting(&corev1.ContainerStateWaiting{Reason: c.reason, Message: c.message})
		if got.reason != c.want || got.hard != c.hard || got.until != c.until {
			t.Errorf("%s: %+v, want %q, hard %v, until %s", c.reason, got, c.want, c.hard, c.until)
		}
	}
}

func TestWarning(t *testing.T) {
	for _, c := range []struct{ reason, message, want string }{
		{"FailedMount", `secret "x" not found`, "a volume cannot be mounted: "},
		{"FailedAttachVolume", "in use", "a volume cannot be mounted: "},
		{"FailedCreatePodSandBox", "no addresses", "the pod has no network or sandbox: "},
		{"FailedScheduling", "0/1 nodes are available: 1 Insufficient memory.", "no node takes it: "},
		{"FailedCreate", `pods "x" is forbidden: exceeded quota: q`, "the namespace's quota is used up: "},
		{"FailedCreate", `admission webhook "w" denied the request: no`, "an admission webhook denies it: "},
		{"FailedCreate", `violates PodSecurity "restricted:latest"`, "the namespace's pod security denies it: "},
		{"FailedCreate", "serviceaccount not found", "its pods cannot be made: "},
		{"BackOff", "Back-off restarting", ""},
	} {
		got := warning(&corev1.Event{Reason: c.reason, Message: c.message})
		if c.want == "" && got != "" || c.want != "" && got != c.want+c.message {
			t.Errorf("%s: %q", c.reason, got)
		}
	}
}

func TestEvicted(t *testing.T) {
	pod := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory"}}
	if got := evicted(pod); got != "ended by the cluster: Evicted: low on memory" {
		t.Error(got)
	}
	drained := &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting",
	}}}}
	if got := evicted(drained); !strings.Contains(got, "EvictionByEvictionAPI") {
		t.Error(got)
	}
	if got := evicted(&corev1.Pod{}); got != "" {
		t.Error(got)
	}
}
