// Command steadd is the daemon of stead: the brain that decides. It is
// started by `stead`, or as a service of the operating system, and may be
// killed at any time: whatever runs goes on running.
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
	}
	where := flag.NewFlagSet("steadd", flag.ContinueOnError)
	environment := where.String("environment", "", "supervise this `environment` of a manifest, instead of this machine")
	file := where.String("manifest", "", "the `file`, absolute; with --environment")
	lead := where.Bool("up", false, "bring all of it up, as soon as nobody else drives the environment; with --environment")
	where.SetOutput(os.Stderr)
	err := where.Parse(os.Args[1:])
	if err != nil || where.NArg() > 0 || (*environment == "") != (*file == "") || *lead && *file == "" || *file != "" && !filepath.IsAbs(*file) {
		fmt.Fprintln(os.Stderr, "stead: error: steadd takes --environment and --manifest, or neither\nstead: hint: use `stead daemon run`; STEAD_HOME says where its state is")
		os.Exit(2)
	}
	log := slog.New(handler())
	if err := run(*environment, *file, *lead, log); err != nil {
		fmt.Fprintln(os.Stderr, "stead: error:", err)
		if hint := runtime.Hint(err); hint != "" {
			fmt.Fprintln(os.Stderr, "stead: hint:", hint)
		}
		os.Exit(exitCode(err))
	}
}

// run supervises until the process is told to end. SIGTERM, SIGINT and SIGHUP
// mean detach: services outlive the daemon.
func run(environment, file string, lead bool, log *slog.Logger) error {
	detach, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer cancel()
	home, err := ipc.ResolveHome()
	if err != nil {
		return err
	}
	if environment == "" {
		if err := home.Make(); err != nil {
			return err
		}
		return supervise(detach, home, nil, log)
	}
	home = home.In(environment, file)
	if err := home.Make(); err != nil {
		return err
	}
	where, err := newPlace(environment, file, home, log)
	if err != nil {
		return err
	}
	where.lead = lead
	return supervise(detach, home, where, log)
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
