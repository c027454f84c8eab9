package gateway

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// mostIdle bounds the idle wires of a generation; the time does so first.
const mostIdle = 1024

// wires are the idle wires of a generation.
type wires struct {
	mu   sync.Mutex // guards what follows
	idle []*wire    // the one that came last is the last
	reap *time.Timer
}

// askByWire sends a request to r.URL.Host. On a wire that was idle it may be
// found closed at any time, and another one is tried then: that is what may be
// sent twice is for.
func (g *generation) askByWire(r *http.Request) (*http.Response, error) {
	for {
		w := g.wires.take(r.URL.Host)
		if w == nil {
			break
		}
		res, err := w.ask(r)
		if err != errStale || r.Context().Err() != nil {
			return res, err
		}
	}
	w, err := g.newWire(r.Context(), r.URL.Host)
	if err != nil {
		return nil, err
	}
	return w.ask(r)
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

// take returns an idle wire to an address, or nil.
func (p *wires) take(address string) *wire {
	for {
		w := p.pop(address)
		if w == nil || time.Since(w.since) < upstreamIdle && w.isSilent() {
			return w
		}
		_ = w.Close()
	}
}

func (p *wires) pop(address string) *wire {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if w := p.idle[i]; w.address == address {
			p.idle = slices.Delete(p.idle, i, i+1)
			return w
		}
	}
	return nil
}

// give takes back a wire, unless its generation goes.
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
