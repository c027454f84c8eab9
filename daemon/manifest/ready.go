package manifest

import (
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// readReady reads how the service is asked whether it can work. Left out it
// is a TCP connect to the first port, and nothing where there is none.
func (s *draft) readReady() {
	f, asked := s.keys["ready"]
	switch {
	case asked:
		s.spec.Ready = s.readProbe(f.value, askReady())
	case len(s.ports) > 0:
		s.spec.Ready = &runtime.Probe{Kind: runtime.ProbeTCP, Port: s.ports[0].Name}
	}
	deadline, within := s.deadline(f)
	f, ok := s.keys["ready_timeout"]
	switch {
	case ok && within:
		s.wrong(f.key, "remove one of them", "ready_timeout and ready: {deadline: …} are the same")
	case within:
		s.spec.ReadyTimeout = s.duration(deadline, time.Millisecond)
	case ok && !asked && s.keys["ports"].key == nil:
		s.wrong(f.key, "add ready or ports, or remove it", "ready_timeout without a probe: the service is ready as soon as it runs")
	case ok:
		s.spec.ReadyTimeout = s.duration(f, time.Millisecond)
	case s.spec.Ready != nil:
		s.spec.ReadyTimeout = defaultReadyTimeout
	}
	s.readLive()
}

// deadline returns what ready: {deadline: …} says. What else is in there has
// been checked.
func (s *draft) deadline(ready field) (field, bool) {
	if ready.key == nil || ready.value.Kind != yaml.MappingNode {
		return field{}, false
	}
	for _, f := range s.fields(ready.value, "ready") {
		if f.key.Value == "deadline" {
			return f, true
		}
	}
	return field{}, false
}

// readLive reads how the service is asked whether it still works. Left out
// nobody asks.
func (s *draft) readLive() {
	f, ok := s.keys["live"]
	long, both := s.keys["liveness"]
	switch {
	case ok && both:
		s.wrong(long.key, "remove one of them", "live and liveness are the same")
	case both:
		s.spec.Live = s.readProbe(long.value, askLive("liveness"))
	case ok:
		s.spec.Live = s.readProbe(f.value, askLive("live"))
	}
}

// readSuccess reads the exit codes that are as good as 0.
func (s *draft) readSuccess() {
	f, ok := s.keys["success_exit_codes"]
	if !ok {
		return
	}
	nodes := []*yaml.Node{f.value}
	if f.value.Kind == yaml.SequenceNode {
		nodes = s.items(f.value)
	}
	for _, n := range nodes {
		if code := s.whole(field{f.key, n}, 0, 255); code != 0 { // 0 is one anyway
			s.spec.SuccessCodes = append(s.spec.SuccessCodes, code)
		}
	}
}
