package gateway_test

import (
	"fmt"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/stead-dev/stead/daemon/gateway"
)

// TestIdleSocketsCostNoGoroutine, and whoever comes after a while is let in.
func TestIdleSocketsCostNoGoroutine(t *testing.T) {
	const n = 200
	var sp spine
	b := serve(t, says("served"))
	var table []gateway.Service
	var sockets []gateway.Socket
	for i := range n {
		socket := sp.bind(t, fmt.Sprintf("shop/s%d/http", i))
		s := entry(socket, gateway.HTTP, 1, b.address)
		s.ID = fmt.Sprintf("shop/s%d", i)
		table, sockets = append(table, s), append(sockets, socket)
	}
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, table...)
	must(t, g.Settle(t.Context()))
	if more := accepting(); more > 0 {
		t.Errorf("%d goroutines for %d idle sockets", more, n)
	}
	for round := range 3 {
		for _, socket := range sockets[:20] {
			c := caller(t, false)
			if _, body, _, err := get(c, socket.Address); err != nil || body != "served" {
				t.Fatalf("round %d: %q, %v", round, body, err)
			}
			c.CloseIdleConnections()
		}
		eventually(t, "nobody accepts any more", func() bool { return accepting() == 0 })
	}
	// A socket that is published no more is not looked at, nor in the way.
	must(t, g.Apply(gateway.Change{Remove: []string{table[0].ID}}))
	if _, body, _, err := get(caller(t, false), sockets[1].Address); err != nil || body != "served" {
		t.Errorf("%q, %v", body, err)
	}
}

// accepting counts the goroutines that wait for callers.
func accepting() int {
	text := make([]byte, 8<<20)
	text = text[:goruntime.Stack(text, true)]
	return strings.Count(string(text), "gateway.(*doors).accept(")
}
