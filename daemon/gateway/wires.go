package gateway

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// mostIdle bounds the idle wires of a generation; the time does so first.
	mostIdle = 1024
	// mostNew is how many wires of a generation may be new at once, on their way
	// to a first answer: when thousands of callers were parked, the rest wait a
	// moment and find one that is idle again. The process has a queue of some
	// hundred connections (Node: 511), and what does not fit into it is not
	// heard for a second.
	mostNew = 128
	// newTime is after what time a wire is not new any more, though no answer
	// has come: it may be one that takes long, and nobody has to wait for that.
	newTime = 10 * time.Millisecond
)

// wires are the idle wires of a generation, and who waits for one.
type wires struct {
	mu    sync.Mutex // guards what follows
	idle  []*wire    // the one that came last is the last
	reap  *time.Timer
	fresh int // new ones
	queue []*turn
}

// turn is a place in the queue.
type turn struct {
	address string
	come    chan offer // has room for it
}

// offer is what comes of waiting: a wire that was used before, or an error of
// whoever has dialled, or neither: the right to a new wire.
type offer struct {
	wire *wire
	err  error
}

// askByWire sends a request to r.URL.Host. On a wire that was idle it may be
// found closed at any time, and another one is tried then: that is what may be
// sent twice is for.
func (g *generation) askByWire(r *http.Request) (*http.Response, error) {
	for {
		o := g.wires.take(r.Context(), r.URL.Host)
		switch {
		case o.err != nil:
			return nil, o.err
		case o.wire == nil:
			return g.askAnew(r)
		case !o.wire.isSilent():
			_ = o.wire.Close()
			continue
		}
		if res, err := o.wire.ask(r); err != errStale || r.Context().Err() != nil {
			return res, err
		}
	}
}

// askAnew sends a request on a new wire, to which the caller has the right.
func (g *generation) askAnew(r *http.Request) (*http.Response, error) {
	w, err := g.newWire(r.Context(), r.URL.Host)
	if err != nil {
		if r.Context().Err() == nil {
			g.wires.fail(r.URL.Host, err)
		}
		g.wires.next()
		return nil, err
	}
	settled := sync.OnceFunc(g.wires.next)
	t := time.AfterFunc(newTime, settled) // once, or stopped below
	defer settled()
	defer t.Stop()
	return w.ask(r)
}

// take returns an idle wire to an address, or the right to a new one, after
// which next must be called. It waits while too many are new.
func (p *wires) take(ctx context.Context, address string) offer {
	w, t := p.tryTake(address)
	if t == nil {
		return offer{wire: w}
	}
	select {
	case o := <-t.come:
		return o
	case <-ctx.Done():
	}
	if !p.leave(t) { // it has come meanwhile
		switch o := <-t.come; {
		case o.wire != nil:
			p.give(o.wire)
		case o.err == nil:
			p.next()
		}
	}
	return offer{err: context.Cause(ctx)}
}

func (p *wires) tryTake(address string) (*wire, *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if w := p.idle[i]; w.address == address {
			p.idle = slices.Delete(p.idle, i, i+1)
			return w, nil
		}
	}
	if p.fresh < mostNew {
		p.fresh++
		return nil, nil
	}
	t := &turn{address, make(chan offer, 1)}
	p.queue = append(p.queue, t)
	return nil, t
}

// leave gives up a place, and says whether it was still there.
func (p *wires) leave(t *turn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.queue, t)
	if i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
	}
	return i >= 0
}

// next gives the right to a new wire to whoever waits longest.
func (p *wires) next() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.fresh--
		return
	}
	p.call(0, offer{})
}

// call makes an offer to one who waits. The caller holds mu.
func (p *wires) call(i int, o offer) {
	p.queue[i].come <- o
	if i > 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
		return
	}
	p.queue[0] = nil // and nothing is moved: thousands may wait
	p.queue = p.queue[1:]
}

// fail tells all who wait for an address what has come of dialling it: one
// that accepts nothing would be tried by each in turn.
func (p *wires) fail(address string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = slices.DeleteFunc(p.queue, func(t *turn) bool {
		if t.address == address {
			t.come <- offer{err: err}
		}
		return t.address == address
	})
}

func (g *generation) newWire(ctx context.Context, address string) (*wire, error) {
	c, err := g.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	u := &upstream{TCPConn: c, generation: g}
	w, err := newWire(u, address)
	if err != nil {
		_ = u.Close()
	}
	return w, err
}

// give hands a wire to whoever waits for one, or keeps it for the next one,
// unless its generation goes.
func (p *wires) give(w *wire) {
	w.since = time.Now()
	if !p.push(w) {
		_ = w.Close()
	} else if w.generation.draining.Load() { // also when it has begun just now
		p.closeIdle()
	}
}

func (p *wires) push(w *wire) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.queue, func(t *turn) bool { return t.address == w.address })
	if i >= 0 {
		p.call(i, offer{wire: w})
		return true
	}
	if len(p.idle) == mostIdle {
		return false
	}
	p.idle = append(p.idle, w)
	if p.reap == nil {
		p.reap = time.AfterFunc(upstreamIdle, p.closeOld) // until none is idle
	}
	return true
}

// closeOld closes those that were idle for too long.
func (p *wires) closeOld() {
	p.mu.Lock()
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].since) >= upstreamIdle {
		old++
	}
	gone := slices.Clone(p.idle[:old])
	p.idle = slices.Delete(p.idle, 0, old)
	if len(p.idle) > 0 {
		p.reap.Reset(upstreamIdle - time.Since(p.idle[0].since))
	} else {
		p.reap, p.idle = nil, nil
	}
	p.mu.Unlock()
	for _, w := range gone {
		_ = w.Close()
	}
}

// closeIdle closes all.
func (p *wires) closeIdle() {
	p.mu.Lock()
	gone := p.idle
	p.idle = nil
	if p.reap != nil {
		p.reap.Stop()
		p.reap = nil
	}
	p.mu.Unlock()
	for _, w := range gone {
		_ = w.Close()
	}
}
