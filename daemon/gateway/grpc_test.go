package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/stead-dev/stead/daemon/gateway"
)

// healths is a gRPC service: Check is unary, Watch streams.
type healths struct {
	health.UnimplementedHealthServer
}

func (healths) Check(ctx context.Context, r *health.HealthCheckRequest) (*health.HealthCheckResponse, error) {
	_ = grpc.SetTrailer(ctx, metadata.Pairs("of", r.Service))
	if r.Service == "bad" {
		return nil, status.Error(codes.NotFound, "bad: 100 % not there")
	}
	return &health.HealthCheckResponse{Status: health.HealthCheckResponse_SERVING}, nil
}

func (healths) Watch(r *health.HealthCheckRequest, s grpc.ServerStreamingServer[health.HealthCheckResponse]) error {
	for i := range 3 {
		if err := s.Send(&health.HealthCheckResponse{Status: health.HealthCheckResponse_ServingStatus(i)}); err != nil {
			return err
		}
	}
	if r.Service == "long" {
		<-s.Context().Done()
	}
	return nil
}

func serveGRPC(t testing.TB) (string, *grpc.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := grpc.NewServer()
	health.RegisterHealthServer(s, healths{})
	// Both ways at once: answers each message.
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "t.Echo", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: "Both", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, s grpc.ServerStream) error {
			for {
				var m health.HealthCheckRequest
				if err := s.RecvMsg(&m); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
				if err := s.SendMsg(&m); err != nil {
					return err
				}
			}
		},
	}}}, struct{}{})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String(), s
}

func dialGRPC(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestGRPCPassesWithStreamsAndTrailers(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/grpc")
	address, _ := serveGRPC(t)
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, address))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn := dialGRPC(t, socket.Address)
	c := health.NewHealthClient(conn)
	var trailer metadata.MD
	_, err := c.Check(ctx, &health.HealthCheckRequest{Service: "db"}, grpc.Trailer(&trailer))
	must(t, err)
	if got := trailer.Get("of"); len(got) != 1 || got[0] != "db" {
		t.Errorf("trailer %v", trailer)
	}
	_, err = c.Check(ctx, &health.HealthCheckRequest{Service: "bad"})
	if s := status.Convert(err); s.Code() != codes.NotFound || s.Message() != "bad: 100 % not there" {
		t.Errorf("error %v", err)
	}
	watch, err := c.Watch(ctx, &health.HealthCheckRequest{})
	must(t, err)
	for i := range 3 {
		if m, err := watch.Recv(); err != nil || int(m.Status) != i {
			t.Fatalf("message %d: %v, %v", i, m, err)
		}
	}
	if _, err := watch.Recv(); err != io.EOF {
		t.Errorf("end: %v", err)
	}
	both, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/t.Echo/Both")
	must(t, err)
	for i := range 5 { // each waits for the last answer: nothing is held back
		var m health.HealthCheckRequest
		must(t, both.SendMsg(&health.HealthCheckRequest{Service: fmt.Sprint(i)}))
		must(t, both.RecvMsg(&m))
		if m.Service != fmt.Sprint(i) {
			t.Errorf("answer %d: %s", i, m.Service)
		}
	}
	must(t, both.CloseSend())
	if err := both.RecvMsg(new(health.HealthCheckRequest)); err != io.EOF {
		t.Errorf("end of both: %v", err)
	}
}

func TestGRPCIsRefusedInItsOwnForm(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/grpc")
	g := open(t, gateway.Options{Sockets: &sp})
	down := held(socket, gateway.HTTP)
	down.State, down.Reason = gateway.Down, "main.go:3: 100 % broken\nü"
	g.route(t, down)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := health.NewHealthClient(dialGRPC(t, socket.Address)).Check(ctx, &health.HealthCheckRequest{})
	if s := status.Convert(err); s.Code() != codes.Unavailable || s.Message() != down.Reason {
		t.Errorf("got %v", err)
	}
}

// TestALongStreamLivesUntilTheDrainLimit over a swap.
func TestALongStreamLivesUntilTheDrainLimit(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/grpc")
	g := open(t, gateway.Options{Sockets: &sp})
	first, _ := serveGRPC(t)
	second, _ := serveGRPC(t)
	g.route(t, entry(socket, gateway.HTTP, 1, first))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := health.NewHealthClient(dialGRPC(t, socket.Address))
	long, err := c.Watch(ctx, &health.HealthCheckRequest{Service: "long"})
	must(t, err)
	for range 3 {
		_, err := long.Recv()
		must(t, err)
	}
	g.route(t, draining(entry(socket, gateway.HTTP, 2, second), time.Hour, 1))
	_, err = c.Check(ctx, &health.HealthCheckRequest{}) // the same connection
	must(t, err)
	g.route(t, draining(entry(socket, gateway.HTTP, 2, second), time.Millisecond, 1))
	if _, err := long.Recv(); err == nil || err == io.EOF {
		t.Errorf("a stream that was cut has ended with %v", err)
	}
	g.heard.drained(t, "shop/web", 1)
}

// askGRPCHealth swaps a third service on its own: gRPC servers take no other
// requests.
func askGRPCHealth(t *testing.T, sp *spine, g *gate) func() error {
	socket := sp.bind(t, "shop/rpc/grpc")
	route := func(number uint64) {
		address, _ := serveGRPC(t)
		s := draining(entry(socket, gateway.HTTP, number, address), 0, number-1)
		s.ID = "shop/rpc"
		g.route(t, s)
	}
	route(1)
	c := health.NewHealthClient(dialGRPC(t, socket.Address))
	n := uint64(0)
	return func() error {
		if n++; n%50 == 0 {
			route(1 + n/50)
		}
		_, err := c.Check(context.Background(), &health.HealthCheckRequest{})
		return err
	}
}
