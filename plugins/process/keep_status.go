package process

import (
	"fmt"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// status is the generation as a whole. Hash and handle are the keeper's.
func (k *keep) status() runtime.GenerationStatus {
	s := runtime.GenerationStatus{Phase: runtime.GenerationRunning, Restarts: k.restarts, Reason: k.reason}
	switch {
	case k.final() && k.stopped:
		s.Phase = runtime.GenerationStopped
	case k.final():
		s.Phase, s.Reason = k.outcome()
	case k.stopped:
		s.Phase = runtime.GenerationStopping
	default:
		if until := k.waiting(); !until.IsZero() {
			s.Phase, s.Until = runtime.GenerationBackoff, until
		}
	}
	return s
}

// outcome is the end of a generation that ended by itself.
func (k *keep) outcome() (runtime.GenerationPhase, string) {
	if k.reason != "" {
		return runtime.GenerationFailed, k.reason
	}
	for i := range k.replicas {
		if last := k.replicas[i].last; last != nil && !last.Success() {
			return runtime.GenerationFailed, describe(*last)
		}
	}
	return runtime.GenerationCompleted, ""
}

// waiting returns when the first replica is started again, if none runs.
func (k *keep) waiting() time.Time {
	var first time.Time
	for i := range k.replicas {
		switch r := &k.replicas[i]; {
		case r.alive():
			return time.Time{}
		case r.phase == replicaWaiting && r.attempt > 0 && (first.IsZero() || r.until.Before(first)):
			first = r.until
		}
	}
	return first
}

// describe says in words how an instance ended.
func describe(e runtime.Exit) string {
	text := fmt.Sprintf("exit code %d", e.Code)
	switch {
	case e.Error != "":
		text = e.Error
	case e.Lost:
		text = "lost with the runtime"
	case e.OOM:
		text = "killed by the kernel: out of memory"
	case e.Core:
		text = "ended by " + e.Signal + " (core dumped)"
	case e.Signal != "":
		text = "ended by " + e.Signal
	}
	switch e.Leftovers {
	case 0:
	case 1:
		text += "; 1 process that it left behind was killed"
	default:
		text += fmt.Sprintf("; %d processes that it left behind were killed", e.Leftovers)
	}
	return text
}
