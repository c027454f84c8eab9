// Package split makes one runtime of two: one here, on this machine, that runs
// builds and what else belongs to the project's files, and one there, that
// runs the services.
//
// It remembers nothing that a daemon relies on: its nonce is a new one each
// time, so that what both tell is heard anew. When either is lost, Watch ends.
// Methods may be called concurrently; each goroutine ends with the call that
// started it.
package split

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// Options are what a Runtime is made of.
type Options struct {
	Here runtime.Runtime
	// There may be nil: nothing runs there, and nothing can be started.
	There runtime.Runtime
	// Nowhere says why There is nil. It should have a class and a hint.
	Nowhere   error
	Positions *Positions // outlives the runtime; nil: one of its own
}

// Runtime is both. It implements runtime.Runtime.
type Runtime struct {
	here, there runtime.Runtime
	nowhere     error
	positions   *Positions
	nonce       string
	numbers     numbers

	mu   sync.Mutex
	shut chan struct{} // closed when the Shutdown that is under way is over; nil: none is
}

var _ runtime.Runtime = (*Runtime)(nil)

// New joins two runtimes. They stay the caller's: New starts nothing.
func New(o Options) *Runtime {
	if o.Positions == nil {
		o.Positions = NewPositions()
	}
	if o.Nowhere == nil {
		o.Nowhere = fmt.Errorf("there is no place to run it: %w", runtime.Unavailable)
	}
	return &Runtime{here: o.Here, there: o.There, nowhere: o.Nowhere, positions: o.Positions, nonce: rand.Text()}
}

// belongsHere reports whether a service's generations run on this machine:
// builds (web:build), and what is the project's (:inputs, :run). A command
// beside a service (web:run) runs where that is.
func belongsHere(service string) bool {
	return strings.HasSuffix(service, ":build") || strings.HasPrefix(service, ":")
}

// of returns the runtime that has a service.
func (r *Runtime) of(service string) (runtime.Runtime, error) {
	switch {
	case belongsHere(service):
		return r.here, nil
	case r.there == nil:
		return nil, r.nowhere
	}
	return r.there, nil
}

// Describe implements runtime.Runtime: it is the one there, in the process of
// the one here, which is what is left when services are not asked for.
func (r *Runtime) Describe(ctx context.Context, version int) (runtime.Description, error) {
	d, err := r.here.Describe(ctx, version)
	if err != nil || r.there == nil {
		d.Nonce, d.Capabilities, d.Driver = r.nonce, nil, nil
		return d, err
	}
	there, err := r.there.Describe(ctx, version)
	if err != nil {
		return runtime.Description{}, fmt.Errorf("reach where services run: %w", err)
	}
	d.Name, d.Nonce, d.Trouble = there.Name, r.nonce, there.Trouble
	d.Capabilities = slices.Clone(there.Capabilities)
	d.Goroutines += there.Goroutines
	d.Driver = there.Driver
	return d, nil
}

// Start implements runtime.Runtime. What the user's environment has is for
// what runs here alone.
func (r *Runtime) Start(ctx context.Context, spec runtime.Spec) (runtime.Handle, error) {
	to, err := r.of(spec.ID.Service)
	if err != nil {
		return runtime.Handle{}, fmt.Errorf("start %s: %w", spec.ID.Label(), err)
	}
	if to != r.here {
		spec.Inherited = nil
	}
	return to.Start(ctx, spec)
}

// Stop implements runtime.Runtime.
func (r *Runtime) Stop(ctx context.Context, id runtime.ID, how runtime.StopRequest) error {
	to, err := r.of(id.Service)
	if err != nil {
		return fmt.Errorf("stop %s: %w", id.Label(), err)
	}
	return to.Stop(ctx, id, how)
}

// Route implements runtime.Runtime.
func (r *Runtime) Route(ctx context.Context, id runtime.ID) error {
	to, err := r.of(id.Service)
	if err != nil {
		return fmt.Errorf("route %s: %w", id.Label(), err)
	}
	return to.Route(ctx, id)
}

// Lead implements runtime.Leader: builds are nobody else's business.
func (r *Runtime) Lead(ctx context.Context, over bool) error {
	if r.there == nil {
		return r.nowhere
	}
	if l, ok := r.there.(runtime.Leader); ok {
		return l.Lead(ctx, over)
	}
	return nil
}

// Listen implements runtime.Runtime: sockets are of this machine.
func (r *Runtime) Listen(ctx context.Context, sockets []runtime.Socket) ([]runtime.SocketStatus, error) {
	return r.here.Listen(ctx, sockets)
}

// Signal implements runtime.Runtime.
func (r *Runtime) Signal(ctx context.Context, id runtime.ID, signal string) error {
	to, err := r.of(id.Service)
	if err != nil {
		return fmt.Errorf("signal %s: %w", id.Label(), err)
	}
	return to.Signal(ctx, id, signal)
}

// Inspect implements runtime.Runtime. A runtime that cannot look sees nothing.
func (r *Runtime) Inspect(ctx context.Context, ids []runtime.ID) ([]runtime.Inspection, error) {
	var all []runtime.Inspection
	for _, to := range r.both() {
		mine := slices.DeleteFunc(slices.Clone(ids), func(id runtime.ID) bool { return belongsHere(id.Service) != (to == r.here) })
		if len(mine) == 0 {
			continue
		}
		found, err := to.Inspect(ctx, mine)
		if err != nil && !errors.Is(err, runtime.Unsupported) {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// both are the runtimes that there are.
func (r *Runtime) both() []runtime.Runtime {
	if r.there == nil {
		return []runtime.Runtime{r.here}
	}
	return []runtime.Runtime{r.here, r.there}
}

// Terminal implements runtime.Runtime.
func (r *Runtime) Terminal(ctx context.Context, req runtime.TerminalRequest) (runtime.Session, error) {
	service := ""
	switch {
	case req.Attach != nil:
		service = req.Attach.ID.Service
	case req.Run != nil:
		service = req.Run.ID.Service
	}
	to, err := r.of(service)
	if err != nil {
		return nil, err
	}
	if req.Run != nil && to != r.here {
		run := *req.Run
		run.Inherited = nil
		req.Run = &run
	}
	return to.Terminal(ctx, req)
}

// Connect implements runtime.Runtime.
func (r *Runtime) Connect(ctx context.Context, req runtime.ConnectRequest) (runtime.Conn, error) {
	to, err := r.of(req.ID.Service)
	if err != nil {
		return nil, err
	}
	return to.Connect(ctx, req)
}

// Stats implements runtime.Runtime, for services: what builds use is not asked.
func (r *Runtime) Stats(ctx context.Context, interval time.Duration, fn func([]runtime.Stat) error) error {
	if r.there == nil {
		return r.nowhere
	}
	return r.there.Stats(ctx, interval, fn)
}

// Preview implements runtime.Runtime: there is nothing to be said of here.
func (r *Runtime) Preview(ctx context.Context, req runtime.PreviewRequest) ([]runtime.Preview, error) {
	if r.there == nil {
		return nil, r.nowhere
	}
	return r.there.Preview(ctx, req)
}

// Shutdown implements runtime.Runtime: services first, as a build may be what
// one of them waits for.
func (r *Runtime) Shutdown(ctx context.Context) error {
	over := make(chan struct{})
	defer close(over)
	r.mu.Lock()
	r.shut = over
	r.mu.Unlock()
	var err error
	if r.there != nil {
		err = r.there.Shutdown(ctx)
	}
	return errors.Join(err, r.here.Shutdown(ctx))
}

// Close detaches from both, where that is a thing to do.
func (r *Runtime) Close() error {
	var errs []error
	for _, one := range r.both() {
		if c, ok := one.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
