package daemon

import (
	"context"
	"sync/atomic"
	"time"
)

// routed is how far the gateways have followed the present. Readers of the
// present wait for it: the daemon may be killed right after it has said that a
// service is ready, and nobody else tells a gateway where that is.
type routed struct {
	now  atomic.Pointer[followed]
	late atomic.Bool // it was waited for in vain
}

// followed is what is wanted of the gateways as of one present. Nothing in it
// changes.
type followed struct {
	sequence uint64
	callable bool          // a route of it leads somewhere
	gateways []Gateway     // those that have been told
	newer    chan struct{} // closed when there is a newer one
}

func (r *routed) follow(sequence uint64, callable bool, gateways []Gateway) {
	last := r.now.Swap(&followed{sequence, callable, gateways, make(chan struct{})})
	if last != nil {
		close(last.newer)
	}
}

// lateLimit is how long routes are waited for that openLimit was not enough for.
const lateLimit = 50 * time.Millisecond

// AwaitRouted returns when what the present of that sequence says holds at the
// doors too, with or without this daemon: each gateway has the routes. It waits
// for no more than openLimit, and for less while one is known to hang.
func (d *Daemon) AwaitRouted(ctx context.Context, sequence uint64) {
	if d.gateways == nil {
		return
	}
	limit := openLimit
	if d.routed.late.Load() {
		limit = lateLimit
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	inEffect := d.awaitRouted(limited, sequence)
	if ctx.Err() == nil {
		d.routed.late.Store(!inEffect)
	}
}

func (d *Daemon) awaitRouted(ctx context.Context, sequence uint64) bool {
	for {
		now := d.routed.now.Load()
		switch {
		case now.sequence < sequence:
		case !now.callable:
			return true
		case len(now.gateways) > 0:
			return awaitAll(ctx, now.gateways)
		}
		select {
		case <-now.newer:
		case <-d.ended:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

func awaitAll(ctx context.Context, gateways []Gateway) bool {
	for _, g := range gateways {
		if g.Await(ctx) != nil {
			return false
		}
	}
	return true
}
