// Command web is the shop's front: an HTML page over what catalog (HTTP) and
// cart (gRPC) know.
package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"shop/cartpb"
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", "web"))
	if err := run(); err != nil {
		slog.Error("stopped", "err", err)
		os.Exit(1)
	}
}

func run() error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()

	// stead gives a service the addresses of those it depends on.
	target := strings.TrimPrefix(os.Getenv("STEAD_CART_URL"), "grpc://")
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()

	f := &front{catalog: os.Getenv("STEAD_CATALOG_URL"), cart: cartpb.NewCartClient(conn)}
	server := &http.Server{Addr: cmp.Or(os.Getenv("HOST"), "127.0.0.1") + ":" + os.Getenv("PORT"), Handler: f.routes()}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }() // ends by Shutdown
	slog.Info("listening", "addr", server.Addr)
	select {
	case err := <-served:
		return err
	case <-stop.Done():
	}
	limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	slog.Info("shutting down")
	err = server.Shutdown(limit)
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}
