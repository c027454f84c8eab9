package gateway

import (
	"sync/atomic"
	"time"
)

// service is what the gateway knows of one entry of the table.
type service struct {
	id     string
	server *Server
	route  atomic.Pointer[route] // what callers see; never nil
	parked atomic.Int64          // callers that wait
	used   atomic.Int64          // when a caller last came or left, in Unix nanoseconds
	stale  atomic.Bool           // used has changed since it was reported

	// Guarded by Server.mu.
	entry       *Service
	generations map[uint64]*generation // routed, draining, or with something in flight
}

// route is what callers of a service get from one instant on. It never
// changes, and is replaced as a whole.
type route struct {
	entry      *Service
	generation *generation // nil unless serving
	ports      map[string]*replicas
	superseded chan struct{} // closed when there is a newer one
}

func newService(id string, server *Server) *service {
	s := &service{id: id, server: server, generations: map[uint64]*generation{}}
	s.route.Store(&route{entry: &Service{ID: id, State: Held}, superseded: make(chan struct{})})
	return s
}

// set brings an entry into effect. The caller holds Server.mu.
func (s *service) set(entry *Service) {
	s.entry = entry
	next := &route{entry: entry, superseded: make(chan struct{})}
	if entry.State == Serving {
		g := s.generations[entry.Generation]
		if g == nil || g.isCut() {
			g = newGeneration(entry.Generation, s)
			s.generations[entry.Generation] = g
		}
		g.revive()
		next.generation, next.ports = g, g.replicas(entry.Endpoints)
	}
	s.swap(next)
	stays := next.generation
	if entry.State == Held { // it may be unready for a while, and finish what it has
		stays = s.generations[entry.Generation]
	}
	s.retire(entry, stays)
}

// remove answers everybody who waits. What is in flight may end, but is cut
// when it takes long. The caller holds Server.mu.
func (s *service) remove() {
	entry := &Service{ID: s.id, State: Down, Reason: s.id + " is not there any more", Park: s.entry.Park}
	s.entry = entry
	s.swap(&route{entry: entry, superseded: make(chan struct{})})
	s.retire(entry, nil)
}

// swap is the moment from which on new requests go elsewhere.
func (s *service) swap(next *route) {
	last := s.route.Swap(next)
	close(last.superseded)
}

// retire sets the deadlines of all generations but the one that stays, and
// forgets those that nobody asks for and nothing uses.
func (s *service) retire(entry *Service, stays *generation) {
	deadlines := make(map[uint64]time.Time, len(entry.Draining))
	for _, d := range entry.Draining {
		deadlines[d.Generation] = d.Deadline
	}
	for number, g := range s.generations {
		if g == stays {
			continue
		}
		deadline, named := deadlines[number]
		if g.retire(deadline, named) && !named {
			delete(s.generations, number)
		}
	}
}

// cut ends what is in flight, in all generations. The caller holds Server.mu.
func (s *service) cut() {
	for _, g := range s.generations {
		g.cut()
	}
}

// enter takes a place in the routed generation. Without one (nothing is
// routed) the route says why; with one, leave must follow.
//
// The pointer is read again after the count has gone up: either the one who
// swaps sees the count, or we see that the route is another one. So a
// generation that has none in flight after the swap never gets any.
func (s *service) enter() (*route, bool) {
	for {
		r := s.route.Load()
		if r.generation == nil {
			return r, false
		}
		r.generation.enter()
		if s.route.Load() == r {
			return r, true
		}
		r.generation.leave()
	}
}

// use notes that a caller has come or left, for Used.
func (s *service) use() {
	if !s.route.Load().entry.Use {
		return
	}
	s.used.Store(time.Now().UnixNano())
	if !s.stale.Load() && s.stale.CompareAndSwap(false, true) {
		s.server.reports.touchSoon(s)
	}
}

// facts are what holds of a service now, as reports.
type facts struct {
	drained  map[uint64]bool
	waiting  bool
	use      bool
	used     time.Time
	inFlight int64
}

// facts returns what holds now, and false when the service is not routed any
// more.
func (s *service) facts() (facts, bool) {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.services[s.id] != s {
		return facts{}, false
	}
	f := facts{drained: map[uint64]bool{}, waiting: s.parked.Load() > 0, use: s.entry.Use}
	for _, d := range s.entry.Draining {
		g := s.generations[d.Generation]
		if g == nil || g.drained() {
			f.drained[d.Generation] = true
		}
	}
	if f.use {
		if at := s.used.Load(); at != 0 {
			f.used = time.Unix(0, at)
		}
		f.inFlight = s.parked.Load()
		for _, g := range s.generations {
			f.inFlight += g.inFlight.Load()
		}
	}
	return f, true
}
