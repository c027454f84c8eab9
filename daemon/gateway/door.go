package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// door is a listening socket that is had. Its target may change while it
// stays open.
type door struct {
	listener net.Listener
	number   int32                  // of the lookout's
	target   atomic.Pointer[target] // nil: not published any more
}

// target is what a door leads to.
type target struct {
	service  *service
	port     string
	protocol Protocol
}

// doors are all listening sockets: those that are wanted, by what the table
// says, and those that are had.
type doors struct {
	sockets Sockets
	server  *Server
	http    *handover
	lookout *lookout // nil: each door has a goroutine
	wake    chan struct{}
	shut    chan struct{}  // closed by close
	accepts sync.WaitGroup // the loops of open doors

	mu       sync.Mutex // guards what follows
	wanted   map[Socket]*target
	of       map[string][]Socket // those of wanted, by service
	open     map[Socket]*door
	at       map[string]*door // those of open, by address
	problems map[Socket]string
	settled  chan struct{} // closed when all that is wanted has been asked for; nil: it has
}

func newDoors(sockets Sockets, s *Server) *doors {
	d := &doors{
		sockets: sockets, server: s, http: newHandover(), wake: make(chan struct{}, 1), shut: make(chan struct{}),
		wanted: map[Socket]*target{}, of: map[string][]Socket{}, open: map[Socket]*door{}, at: map[string]*door{}, problems: map[Socket]string{},
	}
	if l, err := newLookout(); err == nil {
		d.lookout = l
		s.tasks.Go(func() { l.run(d.call) }) // until close
	}
	return d
}

// want takes over what a change says about listeners. A door that stays leads
// to its new target at once, one that is not wanted any more is closed; new
// ones are had by run. It costs what the change costs, not what the table does.
func (d *doors) want(c Change, gone []string, services map[string]*service) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := map[Socket]string{} // of the services that change
	for _, id := range gone {
		d.drop(id, before)
	}
	for i := range c.Set {
		d.drop(c.Set[i].ID, before)
	}
	for i := range c.Set {
		for _, l := range c.Set[i].Listeners {
			for _, address := range l.Addresses {
				d.add(Socket{l.Name, address}, &target{services[c.Set[i].ID], l.Port, l.Protocol})
			}
		}
	}
	for socket := range before {
		if d.wanted[socket] == nil {
			d.shutDoor(socket)
		}
	}
}

// drop takes a service's sockets out of wanted. The caller holds mu.
func (d *doors) drop(id string, before map[Socket]string) {
	for _, socket := range d.of[id] {
		if to := d.wanted[socket]; to != nil && to.service.id == id {
			before[socket] = id
			delete(d.wanted, socket)
		}
	}
	delete(d.of, id)
}

// add makes a socket wanted. The caller holds mu.
func (d *doors) add(socket Socket, to *target) {
	d.wanted[socket] = to
	d.of[to.service.id] = append(d.of[to.service.id], socket)
	if open := d.open[socket]; open != nil {
		open.target.Store(to)
		return
	}
	if d.settled == nil {
		d.settled = make(chan struct{})
	}
	poke(d.wake)
}

// shutDoor closes the door of a socket that is not wanted. The caller holds
// mu.
func (d *doors) shutDoor(socket Socket) {
	if open := d.open[socket]; open != nil {
		open.target.Store(nil)
		d.leave(open)
		delete(d.open, socket)
		delete(d.at, socket.Address)
	}
	if d.problems[socket] != "" {
		delete(d.problems, socket)
		d.server.reports.problem(socket, "")
	}
}

// settle waits until everything that is wanted has been asked for.
func (d *doors) settle(ctx context.Context) error {
	d.mu.Lock()
	settled := d.settled
	d.mu.Unlock()
	if settled == nil {
		return nil
	}
	select {
	case <-settled:
		return nil
	case <-d.shut:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	askTime    = 5 * time.Second // of one question for sockets
	askAgain   = 200 * time.Millisecond
	askSeldom  = 5 * time.Second
	acceptWait = 5 * time.Millisecond // after an error of accept, which is a want of descriptors or memory
)

// run has what is wanted and not there, until ctx ends. What could not be had
// is asked for again: whoever holds an address may let go of it.
func (d *doors) run(ctx context.Context) {
	pause := askAgain
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
			pause = askAgain
		case <-timer.C:
			pause = min(2*pause, askSeldom)
		}
		if d.ask(ctx) {
			timer.Reset(pause)
		} else {
			timer.Stop()
		}
	}
}

// ask fetches the sockets that are missing, and says whether some still are.
func (d *doors) ask(ctx context.Context) (missing bool) {
	d.mu.Lock()
	settled := d.settled
	d.settled = nil
	var sockets []Socket
	for socket := range d.wanted {
		if d.open[socket] == nil {
			sockets = append(sockets, socket)
		}
	}
	d.mu.Unlock()
	if settled != nil {
		defer close(settled)
	}
	if len(sockets) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	listeners, errs := d.sockets.Listen(ctx, sockets)
	for i, socket := range sockets {
		if err := errs[i]; err != nil {
			missing = true
			d.complain(socket, err)
			continue
		}
		d.openDoor(socket, listeners[i])
	}
	return missing
}

func (d *doors) complain(socket Socket, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.wanted[socket] == nil || d.problems[socket] == err.Error() {
		return
	}
	d.problems[socket] = err.Error()
	d.server.reports.problem(socket, err.Error())
	d.server.log.Warn("a socket could not be had", "socket", socket.Name, "address", socket.Address, "err", err)
}

func (d *doors) openDoor(socket Socket, l net.Listener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	to := d.wanted[socket]
	if to == nil || d.open[socket] != nil || d.isShut() {
		_ = l.Close()
		return
	}
	open := &door{listener: l}
	open.target.Store(to)
	d.open[socket], d.at[socket.Address] = open, open
	if d.problems[socket] != "" {
		delete(d.problems, socket)
		d.server.reports.problem(socket, "")
	}
	if d.lookout != nil && d.lookout.add(open) {
		d.lookout.arm(open)
		return
	}
	d.accepts.Go(func() { d.accept(open) }) // until its listener is closed
}

// leave closes a door's listener.
func (d *doors) leave(open *door) {
	if d.lookout != nil {
		d.lookout.remove(open)
	}
	_ = open.listener.Close()
}

// call has the connections of a door accepted, as long as some come.
func (d *doors) call(open *door) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isShut() {
		d.accepts.Go(func() { // until nobody has come for a while, or the listener is closed
			if d.accept(open) {
				d.lookout.arm(open)
			}
		})
	}
}

func (d *doors) isShut() bool {
	select {
	case <-d.shut:
		return true
	default:
		return false
	}
}

// close closes all doors and waits until each connection that was accepted
// has been handed on: none is lost between the kernel's queue and us.
func (d *doors) close() {
	d.mu.Lock()
	if !d.isShut() {
		close(d.shut)
	}
	clear(d.wanted)
	clear(d.at)
	for socket, open := range d.open {
		d.leave(open)
		delete(d.open, socket) // its target stays: kept-alive connections are served on
	}
	d.mu.Unlock()
	if d.lookout != nil {
		d.lookout.close()
	}
	d.accepts.Wait()
}

// acceptLinger is how long a goroutine waits for another caller: a door that is
// used has one all the time.
const acceptLinger = time.Second

// accept lets callers in until the listener is closed, or (true) nobody has
// come for a while to one that the lookout looks at.
func (d *doors) accept(open *door) (quiet bool) {
	for {
		if l, ok := open.listener.(*net.TCPListener); ok && open.number != 0 {
			_ = l.SetDeadline(time.Now().Add(acceptLinger)) // fails when it is closed, and so does Accept
		}
		c, err := open.listener.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return true
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !d.rest() {
				return false
			}
			continue // EMFILE, ENOBUFS and their like: the caller stays in the kernel's queue
		}
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			d.server.log.Error("a socket is of a kind that is not served", "kind", fmt.Sprintf("%T", c))
			_ = c.Close()
			return false
		}
		d.admit(d.server.crowd.enter(tcp, open, d.shut))
	}
}

// rest waits a moment, and says whether to go on.
func (d *doors) rest() bool {
	t := time.NewTimer(acceptWait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-d.shut:
		return false
	}
}

// admit hands a connection to those who speak its protocol.
func (d *doors) admit(c *conn) {
	switch to := c.door.target.Load(); {
	case to == nil:
		_ = c.Close()
	case to.protocol == TCP:
		if !d.server.spawn(func() { d.server.serveTCP(c, to) }) { // until both ends have ended, or are cut
			_ = c.Close()
		}
	default:
		d.http.give(c)
	}
}

// handover is the listener of the HTTP server: what all doors have accepted.
type handover struct {
	conns chan net.Conn
	shut  chan struct{}
	once  sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), shut: make(chan struct{})}
}

func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.shut:
		_ = c.Close()
	}
}

// Accept returns the next connection.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.shut:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. The doors are closed before it.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.shut) })
	return nil
}

// Addr is nowhere in particular.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }

// poke wakes whoever waits on c, once for any number of pokes.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
