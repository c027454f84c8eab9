package kubernetes

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/stead-dev/stead/runtime"
)

// exitOf says what a container's end means. A kubelet knows no signals: a code
// above 128 is one, as in a shell, so that an exit by that very code looks the
// same.
func exitOf(t *corev1.ContainerStateTerminated, success []int) runtime.Exit {
	code := int(t.ExitCode)
	e := runtime.Exit{Code: code, Expected: slices.Contains(success, code)}
	number := int(t.Signal)
	if number == 0 && code > 128 && code-128 < len(signals) {
		number = code - 128
	}
	switch {
	case t.Reason == "OOMKilled":
		return runtime.Exit{Code: -1, Signal: signalName(9), OOM: true}
	case notStarted(t):
		return runtime.Exit{Code: -1, Error: startError(t)}
	case t.Reason == "ContainerStatusUnknown":
		return runtime.Exit{Code: -1, Lost: true, Error: "the node does not know how it ended"}
	case number > 0:
		e.Code, e.Signal = -1, signalName(number)
	}
	return e
}

// notStarted: the command was never executed.
func notStarted(t *corev1.ContainerStateTerminated) bool {
	return t.Reason == "StartError" || t.Reason == "ContainerCannotRun"
}

// innermost finds what the container runtime's own start has to say, behind
// all who pass it on.
var innermost = regexp.MustCompile(`(exec: .*|chdir to cwd .*|mkdir .*)$`)

func startError(t *corev1.ContainerStateTerminated) string {
	text := strings.TrimSpace(t.Message)
	if found := innermost.FindString(text); found != "" {
		text = found
	}
	if text == "" {
		text = t.Reason
	}
	return strings.TrimSuffix(text, ": unknown")
}

// trouble is why a pod does not come up.
type trouble struct {
	reason string        // in words for the user, with the cluster's own message
	hard   bool          // the cluster tries again, and nothing will come of it
	after  time.Duration // hard, when it has been so for that long
	until  time.Duration // back-off: how long
}

// waiting says what a container waits for; "" is nothing to speak of.
func waiting(w *corev1.ContainerStateWaiting) trouble {
	say := func(what string) string {
		if w.Message == "" {
			return what
		}
		return what + ": " + w.Message
	}
	switch w.Reason {
	case "", "ContainerCreating", "PodInitializing":
		return trouble{}
	case "CrashLoopBackOff":
		return trouble{reason: say("it ends again and again"), until: backOff(w.Message)}
	case "ErrImagePull":
		return trouble{reason: say("the image cannot be pulled")}
	case "ImagePullBackOff":
		return trouble{reason: say("the image cannot be pulled"), hard: true, after: 5 * time.Second, until: backOff(w.Message)}
	case "ErrImageNeverPull":
		return trouble{reason: say("the image is not on the node, and must not be pulled"), hard: true}
	case "InvalidImageName":
		return trouble{reason: say("the image has no valid name"), hard: true}
	case "CreateContainerConfigError":
		// objects that it needs may be written after it
		return trouble{reason: say("its configuration is incomplete"), hard: true, after: 20 * time.Second}
	case "RunContainerError": // its end was told: the container was there
		return trouble{reason: say("the command cannot be run")}
	case "CreateContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError":
		return trouble{reason: say("the container cannot be made"), hard: true, after: 10 * time.Second}
	}
	return trouble{reason: say(w.Reason)}
}

var backOffText = regexp.MustCompile(`(?i)back-off ([0-9hms.]+)`)

// backOff is how long the kubelet says that it waits.
func backOff(message string) time.Duration {
	found := backOffText.FindStringSubmatch(message)
	if found == nil {
		return 0
	}
	d, err := time.ParseDuration(found[1])
	if err != nil {
		return 0
	}
	return d
}

// unscheduled is why a pod has no node yet.
func unscheduled(pod *corev1.Pod) trouble {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return trouble{reason: "no node takes it: " + c.Message}
		}
	}
	return trouble{}
}

// evicted is why a pod was ended by somebody else than stead; "" when it was not.
func evicted(pod *corev1.Pod) string {
	if pod.Status.Reason != "" && pod.Status.Phase == corev1.PodFailed { // Evicted, NodeShutdown, UnexpectedAdmissionError…
		return said(pod.Status.Reason, pod.Status.Message)
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return said(c.Reason, c.Message)
		}
	}
	return ""
}

func said(reason, message string) string {
	if message == "" {
		return "ended by the cluster: " + reason
	}
	return "ended by the cluster: " + reason + ": " + message
}

// warning is what an event of type Warning says of a pod, by its reason; ""
// for what the pod's own status says better.
func warning(e *corev1.Event) string {
	message := strings.TrimSpace(e.Message)
	switch e.Reason {
	case "FailedMount", "FailedAttachVolume":
		return "a volume cannot be mounted: " + message
	case "FailedCreatePodSandBox":
		return "the pod has no network or sandbox: " + message
	case "FailedScheduling":
		return "no node takes it: " + message
	case "FailedCreate":
		return refused(message)
	case "InspectFailed", "FailedPreStopHook":
		return e.Reason + ": " + message
	}
	return ""
}

// refused says who did not let pods be made: a quota, a policy, a webhook.
func refused(message string) string {
	switch {
	case strings.Contains(message, "exceeded quota"):
		return "the namespace's quota is used up: " + message
	case strings.Contains(message, "admission webhook"):
		return "an admission webhook denies it: " + message
	case strings.Contains(message, "violates PodSecurity"):
		return "the namespace's pod security denies it: " + message
	}
	return "its pods cannot be made: " + message
}

// describe says in words how an instance ended.
func describe(e runtime.Exit) string {
	switch {
	case e.Error != "":
		return e.Error
	case e.Lost:
		return "nobody knows how it ended"
	case e.OOM:
		return "killed by the kernel: out of memory"
	case e.Signal != "":
		return "ended by " + e.Signal
	}
	return fmt.Sprintf("exit code %d", e.Code)
}
