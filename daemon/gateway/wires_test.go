package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestWhoeverWaitsForAWireIsServedInTurn, told when dialling fails, and leaves
// nothing behind when it does not wait any longer.
func TestWhoeverWaitsForAWireIsServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p wires
		for range mostNew {
			if o := p.take(t.Context(), "a"); o != (offer{}) {
				t.Fatalf("a new wire: %+v", o)
			}
		}
		wait := func(address string) (<-chan offer, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			got := make(chan offer, 1)
			go func() { got <- p.take(ctx, address) }() // until it has an offer, or cancel
			synctest.Wait()
			return got, cancel
		}
		first, _ := wait("a")
		second, _ := wait("a")
		other, _ := wait("b")
		gone, cancel := wait("a")
		cancel()
		if o := <-gone; !errors.Is(o.err, context.Canceled) {
			t.Errorf("cancelled: %+v", o)
		}
		p.next()
		if o := <-first; o != (offer{}) {
			t.Errorf("the first in turn: %+v", o)
		}
		bad := errors.New("nobody is there")
		p.fail("a", bad)
		if o := <-second; o.err != bad {
			t.Errorf("dialling has failed: %+v", o)
		}
		p.next()
		if o := <-other; o != (offer{}) {
			t.Errorf("of another address: %+v", o)
		}
		for range mostNew {
			p.next()
		}
		if p.fresh != 0 || len(p.queue) != 0 {
			t.Errorf("%d new, %d wait", p.fresh, len(p.queue))
		}
	})
}
