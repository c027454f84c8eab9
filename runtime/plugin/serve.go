package plugin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// ServeOptions says what to serve, and where.
type ServeOptions struct {
	// Runtime is what is served. Where making it has effects, use Open
	// instead: it is called once the directory is known to be ours alone.
	Runtime runtime.Runtime
	Open    func() (runtime.Runtime, error)

	Dir   string // owned by this runtime: lock, runtime.json, socket. Made 0700
	Build string // build identity of the binary
	Nonce string // "": one is made
	Log   *slog.Logger

	// OrphanTTL: with no client attached for that long, everything is stopped
	// and Serve returns. 0: never.
	OrphanTTL time.Duration
	// Home: when it vanishes, or is another directory of that name,
	// everything is stopped and Serve returns. Dir is watched in any case.
	Home      string
	HomeEvery time.Duration // how often is looked; 0: 5 s

	// Remains says that what runs needs no process of ours, as in a cluster: it
	// is left as it is, then, unless a client calls Shutdown. That a directory
	// was cleared on somebody's laptop is no reason to end what others use.
	Remains bool
}

// Serve serves a runtime until a client calls Shutdown, ctx ends, no client
// was attached for OrphanTTL, or Home has vanished; in all of these cases
// everything has been stopped when it returns, but see Remains. It takes over
// the process:
//
//   - SIGINT, SIGHUP and SIGTERM do nothing. A terminal, or systemd stopping the
//     daemon's unit, must not end the services; only Shutdown does.
//   - In a systemd scope of its own SIGWINCH stops everything: the user's
//     manager, or the machine, goes down. It would wait for 90 s for a runtime
//     that ignores that.
//   - SIGPIPE does nothing: whoever started this process may be gone.
//   - os.Stdout and os.Stderr are replaced for a moment while go-plugin starts.
//
// It may be called once per process. A directory that another runtime serves
// is Conflict.
func Serve(ctx context.Context, o ServeOptions) error {
	if o.Nonce == "" {
		o.Nonce = rand.Text()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	err := serve(ctx, o)
	if err != nil {
		return fmt.Errorf("serve runtime in %s: %w", o.Dir, err)
	}
	return nil
}

// exitTaken is EX_TEMPFAIL of sysexits.h: Launch tells by it a runtime that
// found the directory taken from one that is broken.
const exitTaken = 75

// exitMistaken is EX_CONFIG of sysexits.h: no other try will go better.
const exitMistaken = 78

// ExitCode is what the program of a runtime ends with after Serve returned err:
// 0, 75 when another runtime serves the directory, 78 when what it was told is
// Invalid, else 1.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, runtime.Conflict):
		return exitTaken
	case errors.Is(err, runtime.Invalid):
		return exitMistaken
	}
	return 1
}

func serve(ctx context.Context, o ServeOptions) error {
	if err := prepare(o.Dir); err != nil {
		return err
	}
	lock, err := lockDir(ctx, o.Dir)
	if err != nil {
		return err
	}
	defer lock.release()
	scoped := os.Getenv(scopeVariable) != ""
	os.Unsetenv(scopeVariable) // services are not in a scope of their own
	told, restore := swallowSignals(scoped, o.Log)
	defer restore()
	if err := removeStale(o.Dir); err != nil {
		return err
	}
	homes, err := watchHomes(o)
	if err != nil {
		return err
	}
	rt := o.Runtime
	if o.Open != nil {
		if rt, err = o.Open(); err != nil {
			return err
		}
	}
	holds := newAttendance(o.OrphanTTL)
	defer holds.close()
	s := newServer(rt, o.Nonce, o.Build, holds)
	l, err := listen(ctx, o.Dir, s, o.Log)
	if err != nil {
		return errors.Join(err, o.end(ctx, rt))
	}
	defer l.end()
	if err := announce(o, l.socket); err != nil {
		return errors.Join(err, o.end(ctx, rt))
	}
	defer os.Remove(filepath.Join(o.Dir, recordName)) // before the socket goes: nobody is to find it and fail
	o.Log.Info("runtime serves", "dir", o.Dir, "socket", l.socket)
	return serveUntilEnd(ctx, o, s, l, homes, told)
}

// serveUntilEnd waits for one of the reasons to end, and has everything
// stopped.
func serveUntilEnd(ctx context.Context, o ServeOptions, s *server, l *listening, homes *homeWatch, told <-chan struct{}) error {
	reason := ""
	look := time.NewTicker(homes.every)
	defer look.Stop()
	for reason == "" {
		select {
		case <-s.down:
			o.Log.Info("runtime ends: it was shut down")
			return nil
		case <-l.served:
			return fmt.Errorf("the server ended by itself: %w", runtime.Internal)
		case <-ctx.Done():
			reason = "it was told to"
		case <-told:
			reason = "systemd stops its scope"
		case <-s.holds.empty:
			reason = "nobody was attached for " + o.OrphanTTL.String()
		case <-look.C:
			if gone := homes.vanished(); gone != "" {
				reason = gone + " has vanished"
			}
		}
	}
	o.Log.Warn("runtime ends: "+reason, "stops everything", !o.Remains)
	return o.end(ctx, s.runtime)
}

// end stops what cannot live without this process. Nobody asked for more.
func (o ServeOptions) end(ctx context.Context, rt runtime.Runtime) error {
	if o.Remains {
		return nil
	}
	return rt.Shutdown(context.WithoutCancel(ctx))
}

func announce(o ServeOptions, socket string) error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	start, err := startTime(os.Getpid())
	if err != nil {
		return err
	}
	return writeRecord(o.Dir, record{
		Socket: socket, PID: os.Getpid(), Start: start, Boot: boot,
		Contract: runtime.ContractVersion, Nonce: o.Nonce, Build: o.Build,
	})
}

// socketRoom is what go-plugin appends to the directory: "/plugin" and up to
// ten digits.
const socketRoom = 17

// prepare makes the directory, for its owner's eyes only.
func prepare(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("the directory is not absolute: %w", runtime.Invalid)
	}
	if len(dir)+socketRoom >= socketPathMax {
		err := fmt.Errorf("a socket in it would have a path of more than %d bytes: %w", socketPathMax-1, runtime.Invalid)
		return runtime.WithHint(err, "choose a shorter STEAD_HOME")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// removeStale removes what a dead runtime left. The caller holds the lock.
func removeStale(dir string) error {
	sockets, err := filepath.Glob(filepath.Join(dir, "plugin*"))
	if err != nil {
		return err
	}
	for _, path := range sockets {
		if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(filepath.Join(dir, recordName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
