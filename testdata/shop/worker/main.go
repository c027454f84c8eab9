// Command worker has no port: it does a little work each second and logs it.
// To see what stead does about a crash, send it SIGUSR1, or set
// WORKER_CRASH_AFTER to a duration: it then exits with code 3.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const crashCode = 3

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", "worker"))
	os.Exit(run())
}

func run() int {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	crash := make(chan os.Signal, 1)
	signal.Notify(crash, syscall.SIGUSR1)

	var after <-chan time.Time // nil: never
	if text := os.Getenv("WORKER_CRASH_AFTER"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			slog.Error("WORKER_CRASH_AFTER is no duration", "err", err)
			return 2
		}
		after = time.After(d)
	}

	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	slog.Info("working", "pid", os.Getpid())
	for n := 1; ; n++ {
		select {
		case <-tick.C:
			slog.Info("worked", "n", n)
		case <-crash:
			slog.Error("crashing", "why", "SIGUSR1")
			return crashCode
		case <-after:
			slog.Error("crashing", "why", "WORKER_CRASH_AFTER")
			return crashCode
		case <-stop.Done():
			slog.Info("done", "n", n)
			return 0
		}
	}
}
