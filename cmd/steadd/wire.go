package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/daemon/state"
	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/burst"
	"github.com/stead-dev/stead/runtime/plugin"
)

// supervise puts all parts together, runs them, and takes them apart in the
// reverse order. It is the only place that knows everyone.
//
// With a place it supervises that, in a home of its own: services listen on no
// port of this machine, so there is no gateway, and a reboot of this machine
// is none of theirs.
func supervise(detach context.Context, home ipc.Home, where *place, log *slog.Logger) error {
	store, recovery, err := state.Open(home.State, log)
	if err != nil {
		return err
	}
	defer store.Close()
	contents, err := store.Load()
	if err != nil {
		return err
	}
	restored, err := restore(contents)
	if err != nil {
		return err
	}
	boot, err := plugin.BootID()
	if err != nil {
		return fmt.Errorf("find the identity of this boot: %w", err)
	}
	listener, err := ipc.Listen(home.Socket)
	if err != nil {
		return err
	}
	files := newWatcher()
	defer files.Close()
	options := daemon.Options{
		Store:    keeper{store},
		Restored: restored,
		Connect:  connector(home, log),
		Load:     load,
		Find:     find,
		Inherit:  inherit,
		Watcher:  files,
		Inputter: inputter{},
		Diagnose: diagnose,
		Limit:    unreadyPerCore * max(2, goruntime.NumCPU()),
		Builds:   goruntime.NumCPU(), // each takes all of them by itself
		Boot:     boot,
		Problem:  recoveryText(recovery),
		Log:      log,
	}
	if where != nil {
		options.Environment, options.Boot = where.name, where.name
		options.Load, options.Connect = where.load, where.connector(options.Connect)
	} else if options.Gateways, err = gateways(home, log); err != nil {
		return err
	}
	d := daemon.New(options)
	if where != nil {
		where.present = d.Present
		if err := where.openForwards(d); err != nil {
			return err
		}
		defer where.forwards.Close()
	}
	server := ipc.NewServer(backend{d: d, home: home, started: time.Now(), where: where}, log)
	served := make(chan error, 1)
	go func() { // ends with Shutdown
		d.Settled(detach, settleLimit)
		served <- server.Serve(listener)
	}()
	log.Info("the daemon is up", "version", version, "pid", os.Getpid(), "socket", home.Socket)
	_, _ = sd.SdNotify(false, sd.SdNotifyReady)

	stopped, cancel := context.WithCancel(detach)
	defer cancel()
	go func() { // ends with stopped
		select {
		case <-d.Stopped():
			cancel()
		case <-stopped.Done():
		}
	}()
	var standing sync.WaitGroup
	if where != nil && where.lead {
		standing.Go(func() { where.standBy(stopped, d) }) // ends with stopped
	}
	err = d.Run(stopped)
	cancel()
	standing.Wait()
	_, _ = sd.SdNotify(false, sd.SdNotifyStopping)
	ending, release := context.WithTimeout(context.Background(), 5*time.Second)
	defer release()
	if e := server.Shutdown(ending); e != nil {
		log.Warn("connections were cut", "err", e)
	}
	if e := <-served; err == nil {
		err = e
	}
	return err
}

// unreadyPerCore bounds how many generations come up at once. With one per
// core a thousand services took five times as long as a bare fork loop, since
// most of a service's start is waiting; sixteen keep the cores busy, and still
// bound the crowd after a reboot.
const unreadyPerCore = 32

// settleLimit is how long callers wait for a daemon that has not heard from
// its runtime yet: an answer before that would describe the past.
const settleLimit = 3 * time.Second

// connector finds the process runtime, or starts the binary that lies beside
// this one.
func connector(home ipc.Home, log *slog.Logger) daemon.Connector {
	starts := burst.New(gcPercent, 75)
	return func(ctx context.Context) (daemon.Link, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find own executable: %w", err)
		}
		path := filepath.Join(filepath.Dir(self), "stead-runtime-process")
		c, err := plugin.Ensure(ctx, plugin.LaunchOptions{
			Path:    path,
			Dir:     home.Run,
			Args:    []string{"--dir", home.Run, "--logs", home.Logs, "--state", filepath.Join(home.State, "process")},
			Env:     runtimeEnvironment(home),
			LogFile: filepath.Join(home.State, "runtime.log"),
			Scope:   os.Getenv("INVOCATION_ID") != "", // systemd started us: the runtime must not end with our unit
			Log:     log,
		})
		if err != nil {
			return nil, err
		}
		return frugal{c, starts}, nil
	}
}

// The heap grows by that many percent before it is collected, also while many
// services start: what is left of a larger one lies far apart afterwards, in
// pages that cannot be given back. Of a thousand services that was 3 MB, for
// 2 % of what their start takes.
const gcPercent = 50

// frugal has starts counted.
type frugal struct {
	daemon.Link
	burst *burst.Burst
}

func (f frugal) Start(ctx context.Context, spec runtime.Spec) (runtime.Handle, error) {
	f.burst.Begin()
	return f.Link.Start(ctx, spec)
}

// runtimeEnvironment is what the runtime itself needs. Services get theirs
// from the user, never from the daemon.
//
// What ends a runtime when it vanishes is the home that it is of.
func runtimeEnvironment(home ipc.Home) []string {
	var environment []string
	if home.Explicit {
		environment = append(environment, "STEAD_HOME="+home.State)
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "STEAD_ORPHAN_TTL", "STEAD_LOG_BYTES"} {
		if value, ok := os.LookupEnv(name); ok {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}

func recoveryText(r state.Recovery) string {
	if r.Corrupt == "" {
		return ""
	}
	return fmt.Sprintf("the state file was damaged (%s) and was moved to %s; what runs goes on running: `stead up -d` in each project takes it over again", r.Cause, r.Corrupt)
}

// keeper is the daemon's Store: state with the daemon's own types.
type keeper struct{ store *state.Store }

func (k keeper) Commit(b daemon.Batch) error {
	batch := state.Batch{Boot: b.Boot, Noted: state.Noted(b.Noted), Services: b.Services, Specs: b.Specs, Ports: b.Ports}
	for id, p := range b.Projects {
		if batch.Projects == nil {
			batch.Projects = map[string]json.RawMessage{}
		}
		batch.Projects[id] = nil
		if p != nil {
			text, err := json.Marshal(p)
			if err != nil {
				return fmt.Errorf("encode project %s: %w", id, err)
			}
			batch.Projects[id] = text
		}
	}
	for _, e := range b.Events {
		batch.Events = append(batch.Events, state.Event(e))
	}
	return k.store.Commit(batch)
}

func (k keeper) Events(after uint64, limit int) ([]daemon.Event, error) {
	kept, err := k.store.Events(after, limit)
	events := make([]daemon.Event, len(kept))
	for i, e := range kept {
		events[i] = daemon.Event(e)
	}
	return events, err
}

func restore(c state.Contents) (daemon.Restored, error) {
	restored := daemon.Restored{
		Boot: c.Boot, Noted: daemon.Noted(c.Noted), Projects: map[string]daemon.Project{}, Services: c.Services,
		Specs: c.Specs, Ports: c.Ports, LastEvent: c.LastEvent,
	}
	for id, text := range c.Projects {
		var p daemon.Project
		if err := json.Unmarshal(text, &p); err != nil {
			return restored, fmt.Errorf("read project %s from the state: %w", id, err)
		}
		restored.Projects[id] = p
	}
	return restored, nil
}
