package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stead-dev/stead/daemon/gateway"
)

// TestNothingIsInEffectWithoutAGateway: also not what one had been told that is
// not there any more.
func TestNothingIsInEffectWithoutAGateway(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	nobody := gateway.NewClient(filepath.Join(shortDir(t), "c"), slog.New(slog.DiscardHandler))
	must(t, nobody.Want(gateway.Change{Set: []gateway.Service{held(socket, gateway.HTTP)}}))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := nobody.Await(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody was told: %v", err)
	}
	g := open(t, gateway.Options{Sockets: &sp})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, g.client.Want(gateway.Change{Set: []gateway.Service{entry(socket, gateway.HTTP, 3, "127.0.0.1:1")}}))
	must(t, g.client.Await(ctx))
	if table := g.Table(); len(table) != 1 || table[0].Generation != 3 {
		t.Errorf("in effect is %+v", table)
	}
	must(t, g.client.Await(ended)) // it is so now
	g.Server.Close()
	eventually(t, "the gateway is missed", func() bool { return g.client.Await(ended) != nil })
}
