// Command cart keeps carts in memory and serves them by gRPC, with the
// standard health and reflection services beside its own.
package main

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"shop/cartpb"
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", "cart"))
	if err := run(); err != nil {
		slog.Error("stopped", "err", err)
		os.Exit(1)
	}
}

func run() error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()

	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("HOST"), "127.0.0.1")+":"+os.Getenv("PORT"))
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	alive := health.NewServer()
	cartpb.RegisterCartServer(server, &carts{byCustomer: map[string][]string{}})
	grpc_health_v1.RegisterHealthServer(server, alive)
	reflection.Register(server)

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }() // ends by GracefulStop
	slog.Info("listening", "addr", listener.Addr().String())
	select {
	case err := <-served:
		return err
	case <-stop.Done():
	}
	slog.Info("shutting down")
	alive.Shutdown() // ends health watches, for which GracefulStop would wait
	server.GracefulStop()
	return <-served
}

// carts is the Cart service.
type carts struct {
	cartpb.UnimplementedCartServer

	mu         sync.Mutex
	byCustomer map[string][]string
}

func (c *carts) Add(_ context.Context, req *cartpb.AddRequest) (*cartpb.Contents, error) {
	if req.Customer == "" || req.Product == "" {
		return nil, status.Error(codes.InvalidArgument, "customer and product are both needed")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byCustomer[req.Customer] = append(c.byCustomer[req.Customer], req.Product)
	slog.Info("added", "customer", req.Customer, "product", req.Product)
	return c.contents(req.Customer), nil
}

func (c *carts) Get(_ context.Context, req *cartpb.GetRequest) (*cartpb.Contents, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.contents(req.Customer), nil
}

// contents is called with mu held; the answer shares nothing with the cart.
func (c *carts) contents(customer string) *cartpb.Contents {
	return &cartpb.Contents{Products: slices.Clone(c.byCustomer[customer])}
}
