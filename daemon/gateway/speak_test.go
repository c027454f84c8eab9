package gateway_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stead-dev/stead/daemon/gateway"
)

// TestH2CCallersOfAnHTTP1Service were answered 502: most servers speak HTTP/1
// alone.
func TestH2CCallersOfAnHTTP1Service(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	old := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Proto+" "+string(body))
	})}
	old.Protocols.SetHTTP1(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = old.Serve(l) }() // until Close
	t.Cleanup(func() { _ = old.Close(); <-done })
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, l.Addr().String()))
	c := caller(t, true)
	for range 3 {
		res, err := c.Post("http://"+socket.Address, "text/plain", strings.NewReader("hello"))
		must(t, err)
		body, err := io.ReadAll(res.Body)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 || string(body) != "HTTP/1.1 hello" {
			t.Errorf("%s %s: %q", res.Proto, res.Status, body)
		}
	}
	next := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	g.route(t, entry(socket, gateway.HTTP, 2, next.address)) // has learnt it
	if _, body, _, err := get(c, socket.Address); err != nil || body != "HTTP/2.0" {
		t.Errorf("the next generation: %q, %v", body, err)
	}
}
