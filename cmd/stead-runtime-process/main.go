// Command stead-runtime-process keeps services running as child processes. It
// is the parent of all of them and owns their output, so that the daemon may
// come and go. The daemon starts it; package runtime/plugin says how they talk,
// and what ends it.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stead-dev/stead/plugins/process"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/burst"
	"github.com/stead-dev/stead/runtime/logs"
	"github.com/stead-dev/stead/runtime/plugin"
	"github.com/stead-dev/stead/runtime/sockets"
)

// The heap grows by that many percent before it is collected. Memory is there
// all day, of CPU little is used, but when many services start; not too much
// more then, as what is left of a large heap lies far apart afterwards.
const (
	gcCalm = 50
	gcBusy = 75
)

// version is set by -ldflags "-X main.version=…".
var version = "dev"

func main() {
	dir := flag.String("dir", "", "absolute directory of the socket, the lock and runtime.json")
	state := flag.String("state", "", "absolute directory of what a successor must know")
	logDir := flag.String("logs", "", "absolute directory of the services' logs")
	show := flag.Bool("version", false, "print the version and end")
	flag.Parse()
	if *show {
		fmt.Println(version)
		return
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)) // a file: it never prints
	err := serve(*dir, *state, *logDir, log)
	if err != nil {
		log.Error("runtime ends", "err", err)
	}
	os.Exit(plugin.ExitCode(err))
}

func serve(dir, state, logDir string, log *slog.Logger) error {
	if state == "" || logDir == "" {
		return fmt.Errorf("--dir, --state and --logs are all required: %w", runtime.Invalid)
	}
	o := plugin.ServeOptions{Dir: dir, Build: version, Nonce: rand.Text(), Log: log, Home: os.Getenv("STEAD_HOME")}
	if text := os.Getenv("STEAD_ORPHAN_TTL"); text != "" {
		var err error
		if o.OrphanTTL, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("STEAD_ORPHAN_TTL: %w: %w", err, runtime.Invalid)
		}
	}
	keep := logs.Options{Log: log}
	if text := os.Getenv("STEAD_LOG_BYTES"); text != "" { // of each service; for measurements of more than one keeps
		var err error
		if keep.MaxBytes, err = strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Errorf("STEAD_LOG_BYTES: %w: %w", err, runtime.Invalid)
		}
	}
	var rt *process.Runtime
	var store *logs.Store
	o.Open = func() (runtime.Runtime, error) { // ends what a predecessor left: only once the lock is ours
		var err error
		store = logs.Open(logDir, keep)
		rt, err = process.New(process.Options{Dir: state, Logs: process.LogsIn(store), Log: log, Nonce: o.Nonce, Build: version, Sockets: filepath.Join(dir, sockets.FileName)})
		return frugal{rt, burst.New(gcCalm, gcBusy)}, err
	}
	err := plugin.Serve(context.Background(), o)
	if rt != nil {
		rt.Close()
	}
	if store != nil {
		store.Close()
	}
	return err
}

// frugal has starts counted, as what they take is most of what there is.
type frugal struct {
	runtime.Runtime
	burst *burst.Burst
}

func (f frugal) Start(ctx context.Context, spec runtime.Spec) (runtime.Handle, error) {
	f.burst.Begin()
	return f.Runtime.Start(ctx, spec)
}
