package manifest

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// readReady reads how the service is asked whether it can work. Left out it
// is a TCP connect to the first port that is the process's own, and nothing
// where there is none.
func (s *draft) readReady() {
	f, asked := s.keys["ready"]
	if asked {
		s.spec.Ready = s.readProbe(f.value, askReady())
	} else if i := slices.IndexFunc(s.ports, func(p port) bool { return p.mode != ModeInherit }); i >= 0 {
		s.spec.Ready = &runtime.Probe{Kind: runtime.ProbeTCP, Port: s.ports[i].Name}
	}
	s.checkShared(f)
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

// checkShared warns of a probe that says nothing of one process: a socket of
// mode inherit accepts always, and while two generations have it either may
// answer.
func (s *draft) checkShared(ready field) {
	const hint = `write ready: notify, "log: listening" or "exec: ./check": a socket of mode inherit accepts always, and the process that is to be replaced may answer`
	for _, p := range s.ports {
		switch {
		case p.mode != ModeInherit:
		case s.spec.Ready.UsesPort() && s.spec.Ready.Port == p.Name:
			s.warn(ready.value, hint, "ready asks port %s, which does not tell a new process from the old one", p.Name)
		case ready.key == nil && s.spec.Ready == nil:
			s.warn(p.modeAt, hint, "nothing says when a new process of the service can work")
			return
		}
	}
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
