package gateway

import (
	"sync"
	"sync/atomic"
	"time"
)

// endpoint is where one port of one replica is reached.
type endpoint struct {
	address  string
	inFlight atomic.Int64
	refused  atomic.Int64 // until when it is left out, in Unix nanoseconds
}

// out says that the endpoint has refused a moment ago.
func (e *endpoint) out() bool {
	until := e.refused.Load()
	return until != 0 && time.Now().UnixNano() < until
}

func (e *endpoint) refuse()  { e.refused.Store(time.Now().Add(refusedFor).UnixNano()) }
func (e *endpoint) recover() { e.refused.Store(0) }

// replicas are the endpoints of one port.
type replicas struct {
	all  []*endpoint
	turn atomic.Uint32

	mu    sync.Mutex    // guards what follows
	again chan struct{} // of await; nil: nobody asks
}

// replicas keeps the counts of endpoints that stay.
func (g *generation) replicas(ports map[string][]string) map[string]*replicas {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make(map[string]*replicas, len(ports))
	kept := make(map[string]*endpoint, len(ports))
	for port, addresses := range ports {
		r := &replicas{}
		for _, a := range addresses {
			e := g.endpoints[a]
			if e == nil {
				e = &endpoint{address: a}
			}
			e.recover() // whoever has sent the table knows better
			kept[a] = e
			r.all = append(r.all, e)
		}
		all[port] = r
	}
	g.endpoints = kept
	return all
}

// pick takes the endpoint with the fewest requests in flight, in turn among
// equals; nil when each has refused. release must follow.
func (p *replicas) pick() *endpoint {
	if p == nil {
		return nil
	}
	var best *endpoint
	n, first := uint32(len(p.all)), uint32(0)
	if n > 1 {
		first = p.turn.Add(1)
	}
	for i := range n {
		e := p.all[(first+i)%n]
		if !e.out() && (best == nil || e.inFlight.Load() < best.inFlight.Load()) {
			best = e
		}
	}
	if best != nil {
		best.inFlight.Add(1)
	}
	return best
}

func (e *endpoint) release() { e.inFlight.Add(-1) }
