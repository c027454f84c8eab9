package ipc_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/ipc/steadpb"
)

func fifty() *ipc.Present {
	names := make([]string, 50)
	for i := range names {
		names[i] = fmt.Sprintf("service-%02d", i)
	}
	return ipctest.Shop(names...)
}

// BenchmarkStatus is one Status of 50 services over the socket, on a
// connection that is there.
func BenchmarkStatus(b *testing.B) {
	s := serve(b, ipctest.New(fifty()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Status(b.Context(), &steadpb.StatusRequest{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStatusOnce is what `stead status` pays: client, dial and call.
func BenchmarkStatusOnce(b *testing.B) {
	s := serve(b, ipctest.New(fifty()))
	b.ReportAllocs()
	for b.Loop() {
		c := ipc.NewClient(s.socket)
		if _, err := c.Status(b.Context(), &steadpb.StatusRequest{}); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}

// TestGRPC: the same socket speaks gRPC, errors and streams included.
func TestGRPC(t *testing.T) {
	s := serve(t, ipctest.New(fifty()))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	carrier := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.socket)
	}}
	defer carrier.CloseIdleConnections()
	c := steadpb.NewDaemonClient(connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: carrier}, "http://stead", connecthttp.WithGRPC())))
	if res, err := c.Status(t.Context(), &steadpb.StatusRequest{}); err != nil || len(res.GetServices()) != 50 {
		t.Errorf("got %d services, %v", len(res.GetServices()), err)
	}
	if _, err := c.Up(t.Context(), &steadpb.UpRequest{}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("got %v", err)
	}
	w, err := c.Watch(t.Context(), &steadpb.StatusRequest{})
	must(t, err)
	defer w.Close()
	if res, err := w.Receive(); err != nil || len(res.GetServices()) != 50 {
		t.Errorf("got %d services, %v", len(res.GetServices()), err)
	}
}
