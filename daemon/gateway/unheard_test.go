package gateway_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/gateway"
)

// TestNobodyIsThereToWake: who waits in vain while no daemon lives is told so,
// and what to do.
func TestNobodyIsThereToWake(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	server, err := gateway.New(gateway.Options{Sockets: &sp, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(server.Close)
	asleep := held(socket, gateway.HTTP)
	asleep.Reason, asleep.Park = "web does not serve: starts on the first connection", 10*time.Millisecond
	must(t, server.Apply(gateway.Change{Set: []gateway.Service{asleep}}))
	must(t, server.Settle(t.Context()))
	res, err := caller(t, false).Get("http://" + socket.Address)
	must(t, err)
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if want := asleep.Reason + "\nno daemon runs,"; res.StatusCode != http.StatusServiceUnavailable || !strings.HasPrefix(string(body), want) || !strings.Contains(string(body), "stead daemon run") {
		t.Errorf("%d: %q", res.StatusCode, body)
	}
}
