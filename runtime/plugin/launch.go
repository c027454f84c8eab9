package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// LaunchOptions says how a runtime is started.
type LaunchOptions struct {
	Path string   // the binary
	Dir  string   // what it is to serve, by Args
	Args []string // without the name of the binary
	Env  []string // KEY=VALUE; nil: that of this process
	// LogFile gets what the runtime writes to stdout and stderr; appended to, 0600.
	LogFile string
	// Scope starts it in a systemd scope of its own with a delegated cgroup,
	// where there is a systemd that answers within 1.5 s; else it is started
	// plainly, and the log says so.
	Scope bool
	Log   *slog.Logger
}

// launchTimeout limits Launch where ctx does not.
const launchTimeout = 10 * time.Second

// Launch starts a runtime in a session of its own, so that it outlives this
// process, and attaches to it. When another one begins to serve the directory
// at the same time, one of both ends, and Launch attaches to the other.
func Launch(ctx context.Context, o LaunchOptions) (*Client, error) {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, launchTimeout)
		defer cancel()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c, err := launch(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("launch %s: %w", filepath.Base(o.Path), err)
	}
	return c, nil
}

func launch(ctx context.Context, o LaunchOptions) (*Client, error) {
	if err := prepare(o.Dir); err != nil {
		return nil, err
	}
	argv := append([]string{o.Path}, o.Args...)
	if o.Scope {
		scoped, err := scope(argv)
		if err == nil {
			var c *Client
			if c, err = launchArgv(ctx, inScope(o), scoped, scopeLimit); err == nil {
				return c, nil
			}
		}
		if ctx.Err() != nil {
			return nil, err
		}
		o.Log.Info("runtime is started without a systemd scope", "err", err)
	}
	return launchArgv(ctx, o, argv, launchTimeout)
}

// launchArgv starts argv until a runtime serves: the one it started, or the
// one that was quicker. When no runtime has even begun after limit, what was
// started is killed.
func launchArgv(ctx context.Context, o LaunchOptions, argv []string, limit time.Duration) (*Client, error) {
	for {
		p, err := spawn(o, argv)
		if err != nil {
			return nil, err
		}
		patience := time.AfterFunc(limit, func() { p.killUnlessBegun(o.Dir, limit) }) // waits for nothing
		c, err := awaitRuntime(ctx, o.Dir, p.exited)
		patience.Stop()
		if c != nil || err != nil {
			return c, err
		}
		// It ended. Somebody else serves, or is about to, or was about to end
		// just now; or it has found something wrong.
		free, err := lockIsFree(o.Dir)
		if err != nil {
			return nil, err
		}
		if free && p.state.ExitCode() != exitTaken {
			return nil, p.failure()
		}
		lock := make(chan struct{})
		lockCtx, cancel := context.WithCancel(ctx)
		go func() { // ends when the lock is free, or by cancel
			defer close(lock)
			_ = awaitLock(lockCtx, o.Dir)
		}()
		c, err = awaitRuntime(ctx, o.Dir, lock)
		cancel()
		<-lock
		if c != nil || err != nil {
			return c, err
		}
	}
}

// awaitRuntime attaches as soon as a runtime is there. It returns nothing when
// over is closed and none is there.
func awaitRuntime(ctx context.Context, dir string, over <-chan struct{}) (*Client, error) {
	for tick := newTicker(); ; {
		last := false
		select {
		case <-over:
			last = true // it may have announced itself since we looked
		default:
		}
		c, err := attach(ctx, dir)
		switch {
		case err == nil:
			return c, nil
		case runtime.Class(err) != runtime.NotFound && runtime.Class(err) != runtime.Unavailable:
			return nil, err
		case last:
			return nil, nil
		case tick.wait(ctx) != nil:
			return nil, fmt.Errorf("it does not serve in time (%v): %w", err, runtime.Unavailable)
		}
	}
}

// spawned is a process that was started.
type spawned struct {
	name    string
	process *os.Process
	state   *os.ProcessState // set when exited is closed
	hung    atomic.Int64     // the limit that it did not keep, 0: none
	exited  chan struct{}
	logFile string
	logFrom int64 // where its own lines begin
}

// spawn starts argv detached from everything that is ours.
func spawn(o LaunchOptions, argv []string) (*spawned, error) {
	log, err := os.OpenFile(o.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	from, err := log.Seek(0, 2)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...) // no context: it is to outlive us
	cmd.Dir, cmd.Env = "/", o.Env
	cmd.Stdout, cmd.Stderr = log, log // files, so that no goroutine copies and no pipe breaks; stdin is /dev/null
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &spawned{name: argv[0], process: cmd.Process, exited: make(chan struct{}), logFile: o.LogFile, logFrom: from}
	go func() { // ends with the process; nobody waits for it, for that one is to outlive us
		defer close(p.exited)
		_ = cmd.Wait()
		p.state = cmd.ProcessState
	}()
	return p, nil
}

// killUnlessBegun ends a process that has not become a runtime. One that has
// takes the lock first, and then may have much to do; until then it has done
// nothing, so that killing it costs nothing either.
func (p *spawned) killUnlessBegun(dir string, limit time.Duration) {
	if free, err := lockIsFree(dir); !free || err != nil {
		return
	}
	p.hung.Store(int64(limit))
	_ = p.process.Kill() // fails when it has just ended
}

// failure is why the process, which has exited, did not get to serve.
func (p *spawned) failure() error {
	class := runtime.Internal
	if p.state.ExitCode() == exitMistaken {
		class = runtime.Invalid
	}
	err := fmt.Errorf("it ended with %s before it served: %w", p.state, class)
	if limit := time.Duration(p.hung.Load()); limit != 0 {
		err = fmt.Errorf("%s did nothing for %s and was killed: %w", filepath.Base(p.name), limit, runtime.Unavailable)
	}
	lines, readErr := lastLines(p.logFile, p.logFrom)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if lines == "" {
		return err
	}
	return fmt.Errorf("%w; its last lines in %s:\n%s", err, p.logFile, lines)
}
