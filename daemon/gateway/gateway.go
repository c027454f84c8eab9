// Package gateway is the door that every public connection goes through: it
// accepts on sockets that others bind, and forwards to the endpoints of the
// generation that is routed. Server is the gateway itself, Client the half of
// its control API that lives in the daemon.
//
// What it promises:
//   - A route is one atomic pointer per service. A request belongs to the
//     generation that was routed when it was let in, and counts as in flight
//     there until its last byte; Drained is never reported before that, unless
//     the generation's deadline has passed and what was left has been cut.
//   - While nothing can serve, callers are parked, bounded in number and time.
//     A request whose body has not been touched goes to whatever is routed
//     next when nobody listens at its endpoint any more.
//   - It needs nobody: the last routes are on disk, and the request path never
//     waits for the disk, the daemon, or whoever reads reports.
//
// All methods of Server and Client may be called from any goroutine. Every
// goroutine of a Server ends before Close returns.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// Limits bound what strangers can make the gateway hold. Zero values are
// replaced by the defaults that stand beside them.
type Limits struct {
	Conns       int           // public connections at once; more wait in the kernel's queue. 8,192
	Parked      int           // callers that wait at once; more are answered 503. 10,000
	HeaderTime  time.Duration // to send a request's header. 10 s
	IdleTime    time.Duration // of a kept-alive connection between requests. 2 min
	HeaderBytes int           // of one request. 256 KiB
	Alone       time.Duration // without a daemon, before callers who are held are sent to what they wait for. 3 s
}

const (
	defaultConns       = 8192
	defaultParked      = 10_000
	defaultHeaderTime  = 10 * time.Second
	defaultIdleTime    = 2 * time.Minute
	defaultHeaderBytes = 256 << 10
)

func (l Limits) orDefault() Limits {
	if l.Conns <= 0 {
		l.Conns = defaultConns
	}
	if l.Parked <= 0 {
		l.Parked = defaultParked
	}
	if l.HeaderTime <= 0 {
		l.HeaderTime = defaultHeaderTime
	}
	if l.IdleTime <= 0 {
		l.IdleTime = defaultIdleTime
	}
	if l.HeaderBytes <= 0 {
		l.HeaderBytes = defaultHeaderBytes
	}
	if l.Alone <= 0 {
		l.Alone = defaultAlone
	}
	return l
}

// Options are what New needs.
type Options struct {
	Sockets Sockets      // who has the listening sockets; required
	Dir     string       // where the last routes are kept, as routes.json; made if need be; "": nowhere
	Limits  Limits       //
	Log     *slog.Logger // required
	Changed func(n int)  // called after each change, with how many services it has set; nil: not
}

// Server is a gateway. It begins with no routes: Load brings back the last
// ones, Apply and the control API (ServeControl) change them.
type Server struct {
	log     *slog.Logger
	limits  Limits
	reports *board
	rooms   *doors
	crowd   *crowd
	disk    *disk // nil: routes are not kept
	changed func(n int)
	web     *http.Server
	waiting atomic.Int64    // callers parked, of all services
	leaving atomic.Bool     // Drain has begun
	bare    chan struct{}   // poked when no service is left in the table
	ending  <-chan struct{} // closed by Close: whoever waits gives up
	end     context.CancelFunc
	tasks   sync.WaitGroup

	mu       sync.Mutex // guards what follows; never held on the request path
	services map[string]*service
	session  uint64 // the newest control session: it alone changes routes
	alone    alone
	closed   bool
}

// New returns a gateway that serves until Close.
func New(o Options) (*Server, error) {
	if o.Sockets == nil || o.Log == nil {
		return nil, errors.Join(runtime.Invalid, errors.New("a gateway needs sockets and a log"))
	}
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the directory of the last routes: %w", err)
		}
	}
	ctx, end := context.WithCancel(context.Background())
	s := &Server{
		log: o.Log, limits: o.Limits.orDefault(), reports: newBoard(),
		bare: make(chan struct{}, 1), ending: ctx.Done(), end: end, services: map[string]*service{}, changed: o.Changed,
	}
	if s.changed == nil {
		s.changed = func(int) {}
	}
	s.crowd = newCrowd(s.limits.Conns)
	s.rooms = newDoors(o.Sockets, s)
	s.web = s.newWeb()
	if o.Dir != "" {
		s.disk = newDisk(o.Dir, o.Log)
		s.tasks.Go(func() { s.disk.run(s.ending, s.Table) }) // until ending
	}
	s.tasks.Go(func() { s.rooms.run(ctx) })              // until ending
	s.tasks.Go(func() { _ = s.web.Serve(s.rooms.http) }) // until web is shut down
	return s, nil
}

// Load takes over the routes that were kept on disk, if there are any: a
// gateway that starts serves them before the daemon has said a word. It waits
// until the sockets have been asked for.
func (s *Server) Load(ctx context.Context) error {
	if s.disk != nil {
		table, err := s.disk.load()
		if err != nil {
			return err
		}
		if len(table) > 0 {
			if err := s.apply(Change{Set: table}, true, 0); err != nil {
				return err
			}
		}
	}
	s.mu.Lock()
	s.waitAlone()
	s.mu.Unlock()
	return s.Settle(ctx)
}

// Apply brings a change into effect: requests that arrive after it has
// returned see the new routes. Listeners are had soon after; Settle waits for
// them. An invalid change changes nothing.
func (s *Server) Apply(c Change) error { return s.apply(c, false, 0) }

// apply is for a control session, or (zero) for whoever has the Server.
func (s *Server) apply(c Change, full bool, session uint64) error {
	if err := c.validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if session != 0 && session != s.session {
		return fmt.Errorf("a newer session has taken over: %w", runtime.Conflict)
	}
	if s.closed {
		return net.ErrClosed
	}
	gone := c.Remove
	if full {
		gone = s.others(c.Set)
	}
	for _, id := range gone {
		if svc := s.services[id]; svc != nil {
			delete(s.services, id)
			svc.remove()
			s.reports.touch(svc)
		}
	}
	for i := range c.Set {
		entry := &c.Set[i]
		svc := s.services[entry.ID]
		if svc == nil {
			svc = newService(entry.ID, s)
			s.services[entry.ID] = svc
		}
		svc.set(entry)
		s.reports.touch(svc)
	}
	if len(s.services) == 0 {
		poke(s.bare)
	}
	s.rooms.want(c, gone, s.services)
	s.changed(len(c.Set))
	if s.disk != nil {
		s.disk.touch()
	}
	return nil
}

// others returns the services that are not in set. The caller holds mu.
func (s *Server) others(set []Service) []string {
	named := make(map[string]bool, len(set))
	for i := range set {
		named[set[i].ID] = true
	}
	var ids []string
	for id := range s.services {
		if !named[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// Table returns the services that are routed, in no order.
func (s *Server) Table() []Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	table := make([]Service, 0, len(s.services))
	for _, svc := range s.services {
		table = append(table, *svc.entry)
	}
	return table
}

// Settle waits until each listener that is wanted now is had, or has been
// asked for in vain (which is reported, and tried again).
func (s *Server) Settle(ctx context.Context) error { return s.rooms.settle(ctx) }

// Drain is how a gateway leaves when a successor accepts on the same sockets:
// it accepts no more, answers what is in flight and what still arrives on
// kept-alive connections, each with the wish to close, and returns when no
// connection is left or ctx has ended. Those that stay silent for linger are
// closed, and at once when the table is empty: nobody can want to go on then.
// Close must follow; it cuts what is left.
func (s *Server) Drain(ctx context.Context, linger time.Duration) {
	s.leaving.Store(true)
	if s.disk != nil {
		s.disk.stop() // the file is the successor's now
	}
	s.rooms.close()
	if !s.linger(ctx, linger) {
		return
	}
	// Closes idle connections, and sends GOAWAY on those that speak HTTP/2.
	_ = s.web.Shutdown(ctx)
	select {
	case <-s.crowd.empty():
	case <-ctx.Done():
	}
}

// linger waits for connections to end, and says whether some have not.
func (s *Server) linger(ctx context.Context, limit time.Duration) bool {
	patience := time.NewTimer(limit)
	defer patience.Stop()
	for len(s.Table()) > 0 {
		select {
		case <-s.crowd.empty():
			return false
		case <-ctx.Done():
			return false
		case <-s.bare: // or was so once
		case <-patience.C:
			return true
		}
	}
	return true
}

// Close cuts every connection, and returns when all that the server has
// started has ended. net/http's goroutines of the connections that were cut
// end by themselves. The listener of ServeControl is its caller's to close.
func (s *Server) Close() {
	s.leaving.Store(true)
	s.mu.Lock()
	s.closed = true
	if s.alone.timer != nil {
		s.alone.timer.Stop()
	}
	s.mu.Unlock()
	s.end()
	s.rooms.close()
	_ = s.web.Close()
	s.mu.Lock()
	for _, svc := range s.services {
		svc.cut()
	}
	s.mu.Unlock()
	s.crowd.cut()
	s.reports.close()
	s.tasks.Wait()
	<-s.crowd.empty()
}

// spawn runs f in a goroutine that Close waits for, unless Close has begun.
func (s *Server) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.tasks.Go(f)
	return true
}

// Sockets is who has the listening sockets: the process runtime, in the
// product.
type Sockets interface {
	// Listen returns, for each wanted socket in turn, a listener on a duplicate
	// of its descriptor, or why there is none. Closing the listener does not
	// close the socket for others.
	Listen(ctx context.Context, wanted []Socket) ([]net.Listener, []error)
}

// Socket is one listening socket: the runtime's name for it, and its address.
type Socket struct {
	Name    string `json:"name"`    // "shop/web/http"
	Address string `json:"address"` // "127.0.0.1:9001"
}
