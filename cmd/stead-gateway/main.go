// Command stead-gateway is the door of every published port: it accepts on
// sockets that the process runtime has bound, and forwards to the services.
// The daemon tells it where to by its control socket; it serves without.
//
// SIGTERM is the request to leave for a successor that accepts on the same
// sockets: what is in flight ends first. A second one ends it at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/stead-dev/stead/daemon/gateway"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/burst"
	"github.com/stead-dev/stead/runtime/sockets"
)

const (
	// gcPercent lets the heap double before it is collected, as Go does: less
	// would pay for each request, and what is idle all day is small anyway.
	gcPercent = 100
	// settleTime bounds how long it waits for sockets before it says that it is
	// ready: what is missing then is reported, and asked for again.
	settleTime = 5 * time.Second
)

// version is set by -ldflags "-X main.version=…".
var version = "dev"

func main() {
	var f flags
	flag.StringVar(&f.control, "control-dir", "", "directory of the control API's Unix socket, which is named by the generation in $STEAD_ID")
	flag.StringVar(&f.state, "state", "", "directory of routes.json, the last routes")
	flag.StringVar(&f.sockets, "sockets", "", "path of the runtime's sockets.sock")
	flag.DurationVar(&f.drain, "drain", 10*time.Second, "how long what is in flight may take after SIGTERM")
	show := flag.Bool("version", false, "print the version and end")
	flag.Parse()
	if *show {
		fmt.Println(version)
		return
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := serve(f, log); err != nil {
		log.Error("gateway ends", "err", err, "hint", runtime.Hint(err))
		os.Exit(1)
	}
}

type flags struct {
	control, state, sockets string
	drain                   time.Duration
}

func serve(f flags, log *slog.Logger) error {
	for _, path := range []string{f.control, f.state, f.sockets} {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("--control-dir, --state and --sockets are required, as absolute paths: %w", runtime.Invalid)
		}
	}
	self, err := runtime.ParseInstanceID(os.Getenv("STEAD_ID"))
	if err != nil {
		return fmt.Errorf("$STEAD_ID, by which the runtime names this generation: %w", err)
	}
	signal.Ignore(syscall.SIGPIPE) // the runtime reads what it logs, and may die before it
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	server, err := gateway.New(gateway.Options{
		Sockets: fetched{f.sockets}, Dir: f.state, Log: log, Limits: limits(), Changed: frugal(),
	})
	if err != nil {
		return err
	}
	defer server.Close()
	newHeap().watch()
	control, err := gateway.ListenControl(gateway.ControlPath(f.control, self.ID.Number))
	if err != nil {
		return err
	}
	defer control.Close()
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	err = server.Load(ctx)
	cancel()
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	// Should the runtime die, its successor has the sockets from here.
	lender, err := sockets.Serve(sockets.LenderPath(filepath.Dir(f.sockets), self.ID.Number), server.Lender(), log)
	if err != nil {
		return err
	}
	defer lender.Close()
	failed := make(chan error, 1)
	go func() { failed <- server.ServeControl(control) }() // until server or control is closed
	if _, err := daemon.SdNotify(true, daemon.SdNotifyReady); err != nil {
		log.Warn("nobody was told that the gateway is ready", "err", err)
	}
	log.Info("gateway serves", "version", version, "pid", os.Getpid())
	select {
	case err := <-failed:
		return fmt.Errorf("serve the control API: %w", err)
	case <-signals:
	}
	leave(server, f.drain, signals, log)
	return nil
}

// frugal has what many changes took given back, when they are over.
func frugal() func(int) {
	b := burst.New(gcPercent, gcPercent)
	return func(n int) {
		for range n {
			b.Begin()
		}
	}
}

// leave drains, until the limit or the next signal.
func leave(server *gateway.Server, limit time.Duration, signals <-chan os.Signal, log *slog.Logger) {
	log.Info("gateway leaves", "limit", limit)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	drained := make(chan struct{})
	go func() { // until drained, or ctx ends
		defer close(drained)
		server.Drain(ctx, limit/2)
	}()
	select {
	case <-drained:
	case <-signals:
		cancel()
		<-drained
	}
}

// limits leaves descriptors for sockets and files: each connection may have
// one to a service beside it.
func limits() gateway.Limits {
	const spare = 4096
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return gateway.Limits{}
	}
	most := int(min(files.Cur, 1<<20)) // Go has raised the soft limit to the hard one
	return gateway.Limits{Conns: max(64, (most-min(spare, most/2))/2)}
}
