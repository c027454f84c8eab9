package daemon

import (
	"context"
	"sync"
	"time"
)

// doorkeeper keeps one gateway process told of the routes, and hands on what
// it reports.
type doorkeeper struct {
	d       *Daemon
	number  uint64
	gateway Gateway
	wake    chan struct{} // of capacity 1
	cancel  context.CancelFunc
	work    sync.WaitGroup

	mu      sync.Mutex
	set     map[string]Route // by ID: not told yet
	removed map[string]bool  // not told yet
}

func newDoorkeeper(d *Daemon, number uint64, gateway Gateway) *doorkeeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &doorkeeper{
		d: d, number: number, gateway: gateway, wake: make(chan struct{}, 1), cancel: cancel,
		set: map[string]Route{}, removed: map[string]bool{},
	}
	k.work.Go(func() { k.tell(ctx) })   // until end
	k.work.Go(func() { k.listen(ctx) }) // until end
	return k
}

// end returns when nothing of the keeper is left; the gateway goes on.
func (k *doorkeeper) end() {
	k.cancel()
	k.work.Wait()
	_ = k.gateway.Close()
}

// offer adds to what is to be told. Later changes replace earlier ones, so
// what waits is bounded by the number of services.
func (k *doorkeeper) offer(c RouteChanges) {
	if len(c.Set)+len(c.Removed) == 0 {
		return
	}
	k.mu.Lock()
	for _, r := range c.Set {
		k.set[r.ID] = r
		delete(k.removed, r.ID)
	}
	for _, id := range c.Removed {
		k.removed[id] = true
		delete(k.set, id)
	}
	k.mu.Unlock()
	k.look()
}

func (k *doorkeeper) look() {
	select {
	case k.wake <- struct{}{}:
	default: // it will anyway
	}
}

func (k *doorkeeper) take() RouteChanges {
	k.mu.Lock()
	defer k.mu.Unlock()
	var c RouteChanges
	for id, r := range k.set {
		c.Set = append(c.Set, r)
		delete(k.set, id)
	}
	for id := range k.removed {
		c.Removed = append(c.Removed, id)
		delete(k.removed, id)
	}
	return c
}

// giveBack puts what could not be told in line again, behind what is newer.
func (k *doorkeeper) giveBack(c RouteChanges) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range c.Set {
		if _, newer := k.set[r.ID]; !newer && !k.removed[r.ID] {
			k.set[r.ID] = r
		}
	}
	for _, id := range c.Removed {
		if _, newer := k.set[id]; !newer {
			k.removed[id] = true
		}
	}
}

// tellAgain is how long a gateway that does not answer is left alone.
const tellAgain = 20 * time.Millisecond

func (k *doorkeeper) tell(ctx context.Context) {
	for {
		select {
		case <-k.wake:
		case <-ctx.Done():
			return
		}
		c := k.take()
		err := k.gateway.Apply(ctx, c)
		if err == nil || ctx.Err() != nil {
			continue
		}
		k.d.log.Debug("the gateway was not told", "gen", k.number, "err", err)
		k.giveBack(c)
		select {
		case <-time.After(tellAgain):
		case <-ctx.Done():
		}
		k.look()
	}
}

func (k *doorkeeper) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := k.gateway.Watch(ctx, func(r GatewayReport) {
			_ = k.d.tell(ctx, message{gateway: &gatewayMessage{k.number, r}})
		})
		if ctx.Err() == nil {
			k.d.log.Debug("the gateway does not report", "gen", k.number, "err", err)
		}
		select {
		case <-time.After(tellAgain):
		case <-ctx.Done():
		}
	}
}
