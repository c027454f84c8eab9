// Command catalog serves the products that migrate has written, as JSON.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", "catalog"))
	if err := run(); err != nil {
		slog.Error("stopped", "err", err)
		os.Exit(1)
	}
}

func run() error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()

	products, err := os.ReadFile(os.Getenv("SHOP_DATA"))
	if err != nil {
		return fmt.Errorf("read the products: %w", err)
	}
	server := &http.Server{Addr: cmp.Or(os.Getenv("HOST"), "127.0.0.1") + ":" + os.Getenv("PORT"), Handler: routes(products)}
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

func routes(products []byte) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /products", func(w http.ResponseWriter, r *http.Request) {
		slog.Info("products", "bytes", len(products))
		w.Header().Set("Content-Type", "application/json")
		w.Write(products)
	})
	return mux
}
