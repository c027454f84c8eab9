package conformance

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

var statsCases = []testCase{
	{name: "StatsOfATree", run: statsOfATree, needs: runtime.CapabilityStats},
	{name: "StatsWhileInstancesComeAndGo", run: statsComeAndGo, needs: runtime.CapabilityStats},
	{name: "StatsEnd", run: statsEnd, needs: runtime.CapabilityStats},
}

var errEnough = errors.New("enough")

// stats measures until ok.
func (s *suite) stats(t *testing.T, what string, ok func([]runtime.Stat) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := s.rt.Stats(ctx, time.Millisecond, func(stats []runtime.Stat) error {
		if ok(stats) {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("%s: %v", what, err)
	}
}

// statsOfATree: what is busy is a child of the service.
func statsOfATree(t *testing.T, s *suite) {
	spec := s.spec("web", "burn")
	s.start(t, spec)
	last := runtime.Stat{Read: -1, Written: -1}
	risen := 0
	s.stats(t, "the CPU of a busy one rises", func(stats []runtime.Stat) bool {
		if len(stats) == 0 {
			return false // it is being started
		}
		one := stats[0]
		if len(stats) > 1 || one.Instance != (runtime.InstanceID{ID: spec.ID, Attempt: 1}) {
			t.Fatalf("%+v", stats)
		}
		if one.CPU < last.CPU || one.Read < last.Read || one.Written < last.Written || !one.Time.After(last.Time) {
			t.Errorf("something falls: %+v after %+v", one, last)
		}
		if one.CPU > last.CPU {
			risen++
		}
		last = one
		return risen >= 3 && one.CPU >= 100*time.Millisecond
	})
	if last.Memory <= 0 || last.PIDs < 0 || s.h.Processes && last.PIDs != 0 && last.PIDs != 2 {
		t.Errorf("%+v", last)
	}
}

func statsComeAndGo(t *testing.T, s *suite) {
	w := s.watch(t)
	s.stats(t, "nothing runs", func(stats []runtime.Stat) bool {
		if len(stats) > 0 {
			t.Errorf("%+v", stats)
		}
		return true
	})
	spec := s.spec("web", "run")
	spec.Replicas = 2
	s.start(t, spec)
	s.stats(t, "both replicas are seen", func(stats []runtime.Stat) bool {
		return len(stats) == 2 && stats[0].Memory > 0 && stats[1].Memory > 0
	})
	s.stop(t, spec.ID, runtime.StopRequest{Kill: true})
	w.phase(t, spec.ID, runtime.GenerationStopped)
	s.stats(t, "none is left", func(stats []runtime.Stat) bool { return len(stats) == 0 })
}

func statsEnd(t *testing.T, s *suite) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := s.rt.Stats(ctx, time.Hour, func([]runtime.Stat) error {
		calls++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}
