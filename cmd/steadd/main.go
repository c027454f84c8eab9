// Command steadd is the daemon of stead: the brain that decides. It is
// started by `stead`, or as a service of the operating system, and may be
// killed at any time: whatever runs goes on running.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
)

// version is set by the linker.
var version = "dev"

func main() {
	if len(os.Args) > 1 {
		if os.Args[1] == "--version" {
			fmt.Println(version)
			return
		}
		fmt.Fprintln(os.Stderr, "stead: error: steadd takes no arguments\nstead: hint: use `stead daemon run`; STEAD_HOME says where its state is")
		os.Exit(2)
	}
	log := slog.New(handler())
	if err := run(log); err != nil {
		fmt.Fprintln(os.Stderr, "stead: error:", err)
		if hint := runtime.Hint(err); hint != "" {
			fmt.Fprintln(os.Stderr, "stead: hint:", hint)
		}
		os.Exit(exitCode(err))
	}
}

// run supervises until the process is told to end. SIGTERM, SIGINT and SIGHUP
// mean detach: services outlive the daemon.
func run(log *slog.Logger) error {
	detach, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer cancel()
	home, err := ipc.ResolveHome()
	if err != nil {
		return err
	}
	if err := home.Make(); err != nil {
		return err
	}
	return supervise(detach, home, log)
}

// exitCode is 3 when another daemon is there already, which `stead` takes as
// success when it started one; else 1.
func exitCode(err error) int {
	if errors.Is(err, runtime.Conflict) {
		return 3
	}
	return 1
}

func handler() slog.Handler {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return tint.NewTextHandler(os.Stderr, &tint.Options{TimeFormat: "15:04:05.000"})
	}
	return slog.NewTextHandler(os.Stderr, nil)
}
