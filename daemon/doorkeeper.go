package daemon

import (
	"context"
	"sync"
)

// doorkeeper keeps one gateway process told of the routes, and hands on what
// it reports.
type doorkeeper struct {
	number  uint64
	gateway Gateway
	cancel  context.CancelFunc
	work    sync.WaitGroup
}

func newDoorkeeper(d *Daemon, number uint64, gateway Gateway) *doorkeeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &doorkeeper{number: number, gateway: gateway, cancel: cancel}
	k.work.Go(func() { // until end
		_ = gateway.Watch(ctx, func(r GatewayReport) {
			_ = d.tell(ctx, message{gateway: &gatewayMessage{number, r}})
		})
	})
	return k
}

// end returns when nothing of the keeper is left; the gateway goes on.
func (k *doorkeeper) end() {
	k.cancel()
	k.work.Wait()
}
