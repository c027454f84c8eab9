package gateway

import "time"

// defaultAlone is longer than a daemon takes to come back by itself, and much
// shorter than callers are parked for.
const defaultAlone = 3 * time.Second

// alone is whether a daemon is there. Guarded by Server.mu.
type alone struct {
	sessions int
	timer    *time.Timer // of stepIn; nil: it was never needed
}

// meet begins a session; part must follow.
func (s *Server) meet() (number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session++
	s.alone.sessions++
	if s.alone.timer != nil {
		s.alone.timer.Stop()
	}
	return s.session
}

func (s *Server) part() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alone.sessions--
	s.waitAlone()
}

// waitAlone has stepIn called should nobody come. The caller holds mu.
func (s *Server) waitAlone() {
	if s.alone.sessions > 0 || s.closed {
		return
	}
	if s.alone.timer != nil {
		s.alone.timer.Reset(s.limits.Alone)
		return
	}
	s.alone.timer = time.AfterFunc(s.limits.Alone, s.stepIn) // ends by itself; Close stops it
}

// stepIn sends callers who are held to what they wait for. The daemon died
// while it came up, or came back: the runtime goes on with that, and nobody
// would say when it is ready. Who finds nobody listening there is parked all
// the same, and let in when somebody is.
func (s *Server) stepIn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alone.sessions > 0 || s.closed {
		return
	}
	for _, svc := range s.services {
		if svc.entry.State != Held || len(svc.entry.Endpoints) == 0 {
			continue
		}
		now := *svc.entry
		now.State = Serving
		svc.set(&now) // and not on disk: that has the daemon's word
		s.reports.touch(svc)
	}
}
