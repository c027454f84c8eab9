package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// dialTimeout ends a dial to a process that accepts nothing any more, with
	// a full queue: stopped by a debugger, or hung.
	dialTimeout = 10 * time.Second
	// A connection that was idle for upstreamIdle is closed: Node closes its
	// own after 5 s, others after 2 s and a bit, and a request must not cross
	// that on its way.
	upstreamIdle = 2 * time.Second
	// Requests that cannot be sent twice use nothing that was idle for longer.
	unsafeIdle = time.Second
	// A replica that has refused is left out for so long.
	refusedFor = 250 * time.Millisecond
)

// generation is where the requests of one generation of a service go: it has
// connections of its own, so that to cut it is to close them.
type generation struct {
	number   uint64
	service  *service
	inFlight atomic.Int64 // requests and connections that were let in and have not left
	draining atomic.Bool
	wires    wires        // for what may be sent twice
	unsafe   transport    // for the rest
	h2c      transport    // for HTTP/2
	speaks   atomic.Int32 // a speech

	mu        sync.Mutex // guards what follows
	deadline  *time.Timer
	ended     bool // by cut
	conns     map[net.Conn]struct{}
	endpoints map[string]*endpoint
}

func newGeneration(number uint64, s *service) *generation {
	return &generation{number: number, service: s}
}

// transport is made when it is used first: most services have no callers most
// of the time, and a thousand transports are some 400 KB.
type transport struct{ atomic.Pointer[http.Transport] }

func (t *transport) of(g *generation, h2 bool, idle time.Duration) *http.Transport {
	if made := t.Load(); made != nil {
		return made
	}
	var p http.Protocols
	p.SetHTTP1(!h2)
	p.SetUnencryptedHTTP2(h2)
	t.CompareAndSwap(nil, &http.Transport{
		DialContext:            g.dialHTTP,
		Protocols:              &p,
		DisableCompression:     true, // what the caller accepts is what the service is asked for
		MaxIdleConnsPerHost:    1024, // the time bounds them; the default of 2 makes every burst dial
		IdleConnTimeout:        idle,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	})
	return t.Load()
}

func (t *transport) closeIdle() {
	if made := t.Load(); made != nil {
		made.CloseIdleConnections()
	}
}

// send sends a request to an endpoint, on a connection that it may use.
func (g *generation) send(r *http.Request, replayable bool) (*http.Response, error) {
	switch {
	case g.wantsHTTP2(r, r.URL.Host):
		return g.h2c.of(g, true, unsafeIdle).RoundTrip(r)
	case replayable:
		return g.askByWire(r)
	}
	return g.unsafe.of(g, false, unsafeIdle).RoundTrip(r)
}

func (g *generation) enter() { g.inFlight.Add(1) }

func (g *generation) leave() {
	if g.inFlight.Add(-1) == 0 && g.draining.Load() {
		g.service.server.reports.touch(g.service)
	}
}

// drained says that nothing of the generation's is in use here any more.
func (g *generation) drained() bool { return g.inFlight.Load() == 0 || g.isCut() }

func (g *generation) isCut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ended
}

// revive takes retire back: the generation is routed.
func (g *generation) revive() {
	g.draining.Store(false)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.deadline != nil {
		g.deadline.Stop()
		g.deadline = nil
	}
}

// retire sets when what is in flight is cut, and says whether nothing is. One
// that the table does not name keeps the deadline it has.
func (g *generation) retire(deadline time.Time, named bool) (unused bool) {
	g.draining.Store(true)
	g.wires.closeIdle()
	g.unsafe.closeIdle()
	g.h2c.closeIdle()
	if g.drained() {
		g.stopTimer()
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !named && g.deadline != nil:
		return false
	case !named:
		deadline = time.Now().Add(DefaultDrain)
	}
	if g.deadline != nil {
		g.deadline.Stop()
		g.deadline = nil
	}
	if !deadline.IsZero() {
		g.deadline = time.AfterFunc(time.Until(deadline), g.cut) // ends by itself, or by revive
	}
	return false
}

func (g *generation) stopTimer() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.deadline != nil {
		g.deadline.Stop()
	}
}

// cut closes every connection to the generation, and lets no other one come
// to be. Whoever forwards over one of them is told by that.
func (g *generation) cut() {
	g.mu.Lock()
	g.ended = true
	conns := g.conns
	g.conns = nil
	if g.deadline != nil {
		g.deadline.Stop()
	}
	g.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
	g.service.server.reports.touch(g.service)
}

var errCut = errors.New("the generation's time to drain was over")

// dialError is a connection that did not come to be: nothing of the request
// was sent.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

// gone says that nobody listens there: the process has ended, or has not
// begun.
func (e *dialError) gone() bool {
	return errors.Is(e.error, syscall.ECONNREFUSED) || errors.Is(e.error, syscall.ECONNRESET) || errors.Is(e.error, errCut)
}

// dial connects to an endpoint. The connection is one of those that cut
// closes, until forget.
func (g *generation) dial(ctx context.Context, address string) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &dialError{err}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		_ = c.Close()
		return nil, &dialError{errCut}
	}
	if g.conns == nil {
		g.conns = map[net.Conn]struct{}{}
	}
	g.conns[c] = struct{}{}
	return c.(*net.TCPConn), nil // what "tcp" gives
}

func (g *generation) forget(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

func (g *generation) dialHTTP(ctx context.Context, _, address string) (net.Conn, error) {
	c, err := g.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return &upstream{TCPConn: c, generation: g}, nil
}

// upstream is a connection that its generation forgets when it is closed.
type upstream struct {
	*net.TCPConn
	generation *generation
}

func (u *upstream) Close() error {
	u.generation.forget(u.TCPConn)
	return u.TCPConn.Close()
}
