package gateway

import (
	"sync"
	"time"
)

// Kind says what a Report is about.
type Kind string

// The kinds of reports. All but Begin and Synced are facts that hold until the
// next report about the same thing.
const (
	// Begin is the first of a connection: forget what was reported before it.
	Begin Kind = "begin"
	// Synced follows when all that holds has been reported.
	Synced Kind = "synced"
	// Drained: Generation of Service is known here to be draining, and nothing
	// of it is in flight here.
	Drained Kind = "drained"
	// Waiting: a caller waits for Service and nothing can serve, or (Over)
	// nobody waits any more.
	Waiting Kind = "waiting"
	// Used: Service was last used At, and has InFlight callers. For services
	// that ask for it, at most one per second each.
	Used Kind = "used"
	// Port: Socket could not be had, because of Problem, or (Over) now is had
	// or not wanted any more.
	Port Kind = "port"
)

// Report is what a gateway tells the daemon.
type Report struct {
	Kind       Kind      `json:"kind"`
	Service    string    `json:"service,omitempty"`
	Generation uint64    `json:"generation,omitempty"`
	Over       bool      `json:"over,omitempty"`
	At         time.Time `json:"at,omitzero"`
	InFlight   int64     `json:"in_flight,omitempty"`
	Socket     Socket    `json:"socket,omitzero"`
	Problem    string    `json:"problem,omitempty"`
}

// usedEvery is how often Used is told of one service.
const usedEvery = time.Second

// board knows what has to be told, as which services have changed: how they
// have is looked up when it is told, so a slow reader costs no memory.
type board struct {
	mu       sync.Mutex // guards what follows
	readers  map[*reader]struct{}
	problems map[Socket]string
	soon     map[*service]struct{} // touched when timer fires
	timer    *time.Timer
	closed   bool
}

// reader is one who is told.
type reader struct {
	wake  chan struct{}
	board *board

	// Guarded by board.mu.
	dirty    map[*service]struct{}
	problems map[Socket]struct{}

	told map[*service]facts // the reader's own
}

func newBoard() *board {
	return &board{readers: map[*reader]struct{}{}, problems: map[Socket]string{}, soon: map[*service]struct{}{}}
}

// heard reports whether anybody is told.
func (b *board) heard() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.readers) > 0
}

// touch notes that something may have changed about a service.
func (b *board) touch(s *service) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.touchLocked(s)
}

func (b *board) touchLocked(s *service) {
	for r := range b.readers {
		r.dirty[s] = struct{}{}
		poke(r.wake)
	}
}

// touchSoon touches the service within usedEvery.
func (b *board) touchSoon(s *service) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.soon[s] = struct{}{}
	if b.timer == nil && !b.closed {
		b.timer = time.AfterFunc(usedEvery, b.flush) // once; close stops it
	}
}

func (b *board) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer = nil
	for s := range b.soon {
		s.stale.Store(false) // before it is looked at: what comes now is for the next time
		b.touchLocked(s)
	}
	clear(b.soon)
}

// problem notes what is wrong with a socket; "": nothing any more.
func (b *board) problem(socket Socket, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if text == "" {
		delete(b.problems, socket)
	} else {
		b.problems[socket] = text
	}
	for r := range b.readers {
		r.problems[socket] = struct{}{}
		poke(r.wake)
	}
}

func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.timer != nil {
		b.timer.Stop()
	}
}

// join begins to tell a reader, of everything in all.
func (b *board) join(all []*service) *reader {
	r := &reader{
		wake: make(chan struct{}, 1), board: b,
		dirty: make(map[*service]struct{}, len(all)), problems: map[Socket]struct{}{}, told: map[*service]facts{},
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range all {
		r.dirty[s] = struct{}{}
	}
	for socket := range b.problems {
		r.problems[socket] = struct{}{}
	}
	b.readers[r] = struct{}{}
	return r
}

func (b *board) part(r *reader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.readers, r)
}

// next returns what has changed since it was last called.
func (r *reader) next() []Report {
	b := r.board
	b.mu.Lock()
	dirty, sockets := r.dirty, r.problems
	r.dirty, r.problems = map[*service]struct{}{}, map[Socket]struct{}{}
	var reports []Report
	for socket := range sockets {
		text := b.problems[socket]
		reports = append(reports, Report{Kind: Port, Socket: socket, Problem: text, Over: text == ""})
	}
	b.mu.Unlock()
	for s := range dirty {
		old := r.told[s]
		now, ok := s.facts()
		if old.use && s.stale.Load() { // flush will bring us here again
			now.used, now.inFlight = old.used, old.inFlight
		}
		reports = append(reports, difference(s.id, old, now)...)
		if ok {
			r.told[s] = now
		} else {
			delete(r.told, s)
		}
	}
	return reports
}

func difference(id string, old, now facts) []Report {
	var reports []Report
	for number := range now.drained {
		if !old.drained[number] {
			reports = append(reports, Report{Kind: Drained, Service: id, Generation: number})
		}
	}
	if now.waiting != old.waiting {
		reports = append(reports, Report{Kind: Waiting, Service: id, Over: !now.waiting})
	}
	if now.use && (!old.use || !now.used.Equal(old.used) || now.inFlight != old.inFlight) {
		reports = append(reports, Report{Kind: Used, Service: id, At: now.used, InFlight: now.inFlight})
	}
	return reports
}
