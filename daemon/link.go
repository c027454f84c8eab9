package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// Link is a connection to a runtime.
type Link interface {
	runtime.Runtime
	Close() error // detaches; the runtime goes on
}

// outdated is a Link that may be about to be replaced: what is asked now is
// for its successor.
type outdated interface{ Outdated() bool }

// current reports whether a link is there, and is not about to be replaced.
func current(l *link) bool {
	if l == nil {
		return false
	}
	old, ok := l.Link.(outdated)
	return !ok || !old.Outdated()
}

// Connector finds the runtime, or starts it.
type Connector func(ctx context.Context) (Link, error)

// link is a Link that answered.
type link struct {
	Link
	description runtime.Description
}

func (l *link) can(capability string) bool {
	return slices.Contains(l.description.Capabilities, capability)
}

// The delays between attempts to reach the runtime. It is on this machine and
// comes up in some 20 ms, so short ones suffice at first. What was refused as
// Invalid, a kubeconfig without the context for example, is only tried again
// for who asks, or may have mended it.
const (
	reconnectMin      = 50 * time.Millisecond
	reconnectMax      = 2 * time.Second
	reconnectMistaken = time.Minute
)

// attend keeps the runtime attached until ctx ends.
func (d *Daemon) attend(ctx context.Context) {
	delay := reconnectMin
	for ctx.Err() == nil {
		began := time.Now()
		err := d.attendOnce(ctx)
		if ctx.Err() != nil || d.shut.Load() {
			return
		}
		if errors.Is(err, errDriver) {
			delay = reconnectMin
			continue // it is there
		}
		d.log.Warn("the runtime was lost", "err", err)
		if d.tell(ctx, message{link: &linkChange{reason: err.Error()}}) != nil {
			return
		}
		if time.Since(began) > reconnectMax {
			delay = reconnectMin
		}
		d.holdOff(ctx, delay, runtime.Class(err) == runtime.Invalid)
		delay = min(2*delay, reconnectMax)
	}
}

// holdOff waits for the delay, and after a mistake until somebody asks.
func (d *Daemon) holdOff(ctx context.Context, delay time.Duration, mistaken bool) {
	select {
	case <-time.After(delay):
	case <-ctx.Done():
	}
	if !mistaken {
		return
	}
	select {
	case <-d.wanted:
	case <-time.After(reconnectMistaken):
	case <-ctx.Done():
	}
}

var errWatchEnded = errors.New("it closed the connection")

// attendOnce attaches, and reports what the runtime reports until it is lost.
func (d *Daemon) attendOnce(ctx context.Context) error {
	l, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	description, err := l.Describe(ctx, runtime.ContractVersion)
	if err != nil {
		return err
	}
	d.link.Store(&link{l, description})
	defer d.link.Store(nil)
	d.log.Info("attached to the runtime", "name", description.Name, "pid", description.PID, "build", description.Build)
	if err := d.tell(ctx, message{link: &linkChange{attached: true, nonce: description.Nonce, driver: description.Driver}}); err != nil {
		return err
	}
	watching, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.again.Store(&cancel)
	defer d.again.Store(nil)
	defer d.heed(ctx, d.link.Load())()
	sure := (&link{l, description}).surely(watching, description)
	err = l.Watch(watching, func(e runtime.Event) error {
		if err := sure(); err != nil {
			return err
		}
		return d.tell(ctx, message{report: &e})
	})
	if cause := context.Cause(watching); errors.Is(cause, errDriver) {
		return cause
	}
	if err == nil {
		err = errWatchEnded
	}
	return err
}

// attachPatience is how long a request waits for a runtime that is being
// attached: a daemon takes requests a moment before it has found its runtime.
const attachPatience = 3 * time.Second

// runtime returns the attached runtime.
func (d *Daemon) runtime(ctx context.Context) (*link, error) {
	patience := time.NewTimer(attachPatience)
	defer patience.Stop()
	for {
		p := d.Present()
		if l := d.link.Load(); current(l) {
			return l, nil
		}
		select {
		case d.wanted <- struct{}{}:
		default: // it is known
		}
		select {
		case <-p.Newer():
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-patience.C:
			return nil, runtime.WithHint(wrapClass(p.Problem, runtime.Unavailable),
				"`stead daemon status` shows whether it is back; daemon.log and runtime.log say more")
		}
	}
}

// steadily calls fn with the attached runtime, and again when another one has
// taken its place meanwhile: an environment that gets a target is attached anew.
// So fn may be called more than once.
func (d *Daemon) steadily(ctx context.Context, fn func(*link) error) error {
	for {
		l, err := d.runtime(ctx)
		if err != nil {
			return err
		}
		if err = fn(l); err == nil || ctx.Err() != nil || d.link.Load() == l {
			return err
		}
	}
}

// Settled returns when the present is known for the first time, the limit has
// passed, or ctx ends.
func (d *Daemon) Settled(ctx context.Context, limit time.Duration) {
	patience := time.NewTimer(limit)
	defer patience.Stop()
	for p := d.Present(); !p.State.Synced; p = d.Present() {
		select {
		case <-p.Newer():
		case <-ctx.Done():
			return
		case <-patience.C:
			return
		}
	}
}

// describeLimit bounds how long a runtime may take to describe itself to
// somebody who only wants to know who is there.
const describeLimit = time.Second

// Runtime describes the attached runtime as it is now, or, when that does not
// answer, as it was when it was attached; nil while there is none.
func (d *Daemon) Runtime(ctx context.Context) *runtime.Description {
	l := d.link.Load()
	if l == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, describeLimit)
	defer cancel()
	if now, err := l.Describe(ctx, runtime.ContractVersion); err == nil {
		return &now
	}
	return &l.description
}

// forget lets the runtime drop what was applied and, with its transitions,
// committed.
func (d *Daemon) forget(ctx context.Context) {
	if d.noted.Sequence == d.forgot || !d.unsaved.empty() || time.Since(d.forgotAt) < flushDelay {
		return
	}
	d.forgot, d.forgotAt = d.noted.Sequence, time.Now()
	sequence := d.forgot
	d.work.add(forgetKey, func() {
		if l := d.link.Load(); l != nil {
			if err := l.Forget(ctx, sequence); err != nil {
				d.log.Debug("not forgotten", "err", err) // said again with the next one
			}
		}
	})
}
