package gateway

import (
	"net"
	"sync"
)

// conn is a caller's connection.
type conn struct {
	*net.TCPConn
	door  *door
	crowd *crowd
	slot  bool // it counts against the limit
}

// Close closes the connection, and makes room for another one.
func (c *conn) Close() error {
	c.crowd.leave(c)
	return c.TCPConn.Close()
}

// crowd is everybody who is connected, also with an upgraded connection that
// net/http knows nothing of any more.
type crowd struct {
	slots chan struct{}

	mu    sync.Mutex // guards what follows
	conns map[*conn]struct{}
	none  chan struct{} // closed when conns is empty; nil: nobody waits for that
}

func newCrowd(limit int) *crowd {
	return &crowd{slots: make(chan struct{}, limit), conns: map[*conn]struct{}{}}
}

// enter lets a connection in when there is room. Once hurry is closed there
// is: what was accepted before is served.
func (c *crowd) enter(tcp *net.TCPConn, d *door, hurry <-chan struct{}) *conn {
	in := &conn{TCPConn: tcp, door: d, crowd: c}
	select {
	case c.slots <- struct{}{}:
		in.slot = true
	default:
		select {
		case c.slots <- struct{}{}:
			in.slot = true
		case <-hurry:
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns[in] = struct{}{}
	return in
}

func (c *crowd) leave(out *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.conns[out]; !ok {
		return
	}
	delete(c.conns, out)
	if out.slot {
		<-c.slots
	}
	if len(c.conns) == 0 && c.none != nil {
		close(c.none)
		c.none = nil
	}
}

// empty returns a channel that is closed when nobody is connected. Whoever
// asks has closed the doors before.
func (c *crowd) empty() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	none := c.none
	if none == nil {
		none = make(chan struct{})
		if len(c.conns) == 0 {
			close(none)
			return none
		}
		c.none = none
	}
	return none
}

// cut closes every connection.
func (c *crowd) cut() {
	c.mu.Lock()
	all := make([]*conn, 0, len(c.conns))
	for in := range c.conns {
		all = append(all, in)
	}
	c.mu.Unlock()
	for _, in := range all {
		_ = in.Close()
	}
}
