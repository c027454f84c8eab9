// Package fake is a runtime.Runtime in memory, for tests of what stands above
// the contract. A Script says what each instance does; without one it is ready
// at once and runs until it is stopped. Tests may also end instances and change
// their readiness by hand, and read which calls were made.
//
// It keeps the contract's promises as far as no process is needed for them:
// numbered events with the present and Synced, redelivery until Forget, restart
// policies with their delays, logs, a terminal that echoes, connections to
// what the script serves, statistics that the script makes up. Its timers are
// ordinary ones, so it can be used inside testing/synctest. All methods may be
// called concurrently.
package fake

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// Act is what one instance does.
type Act struct {
	Fail   string        // it cannot be started: why
	Unable bool          // it never gets ready by itself; see Runtime.SetReady
	After  time.Duration // until it is ready, when it gets ready at all
	Output string        // what it writes to stdout at its start

	Exit   *runtime.Exit // it ends like this by itself
	ExitIn time.Duration // so long after its start

	Stubborn bool // only SIGKILL ends it: Stop takes its whole grace

	// Serve is the service's end of one connection, which is closed when it
	// returns. Nil: what comes is sent back.
	Serve func(port string, conn runtime.Conn)

	// Usage is what the instance has used at this age; its Instance and Time
	// are filled in. Nil: one core, one MiB, one process.
	Usage func(age time.Duration) runtime.Stat
}

// Script decides what an instance does when it is started.
type Script func(spec runtime.Spec, instance runtime.InstanceID) Act

// Options of New. All may be left out.
type Options struct {
	Script       Script
	Build, Nonce string
	PID          int
	Capabilities []string

	// Preview answers Preview. Nil: Unsupported.
	Preview func(runtime.PreviewRequest) ([]runtime.Preview, error)
}

// Call is one call that was made.
type Call struct {
	Method   string // "Start"
	ID       runtime.ID
	Spec     runtime.Spec        // Start
	Stop     runtime.StopRequest // Stop
	Sequence uint64              // Forget
	Sockets  []runtime.Socket    // Listen
	Signal   string              // Signal
	IDs      []runtime.ID        // Inspect
	Port     string              // Connect
}

// Runtime is the fake.
type Runtime struct {
	options Options

	mu          sync.Mutex
	sequence    uint64
	generations map[runtime.ID]*generation
	watchers    map[*watcher]bool
	calls       []Call
	blocks      []runtime.LogBlock // of all services
	grown       chan struct{}      // closed and made anew when blocks grows
	lastPID     int
	shut        bool
	bound       map[string]bool                 // addresses of sockets
	refused     map[string]runtime.SocketStatus // by address
	routed      map[runtime.ID]uint64           // number by ID without it
	connections int                             // so far
	measured    int                             // see Measurements
}

// New returns a runtime in which nothing runs.
func New(o Options) *Runtime {
	if o.Script == nil {
		o.Script = func(runtime.Spec, runtime.InstanceID) Act { return Act{} }
	}
	return &Runtime{
		options: o, generations: map[runtime.ID]*generation{}, watchers: map[*watcher]bool{},
		grown: make(chan struct{}), lastPID: 1000,
		bound: map[string]bool{}, refused: map[string]runtime.SocketStatus{}, routed: map[runtime.ID]uint64{},
	}
}

var _ runtime.Runtime = (*Runtime)(nil)

// Calls returns the calls so far, oldest first, without Describe, Watch and Logs.
func (r *Runtime) Calls() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// Describe implements runtime.Runtime.
func (r *Runtime) Describe(_ context.Context, version int) (runtime.Description, error) {
	if version != runtime.ContractVersion && version != runtime.ContractVersion-1 {
		err := fmt.Errorf("contract version %d is not spoken here: %w", version, runtime.Unsupported)
		return runtime.Description{}, runtime.WithHint(err, "use the stead that belongs to this runtime")
	}
	return runtime.Description{
		Name: "fake", Version: version, Build: r.options.Build, PID: r.options.PID,
		Nonce: r.options.Nonce, Capabilities: r.options.Capabilities,
	}, nil
}

// Start implements runtime.Runtime.
func (r *Runtime) Start(ctx context.Context, spec runtime.Spec) (runtime.Handle, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.note(ctx, Call{Method: "Start", ID: spec.ID, Spec: spec}); err != nil {
		return runtime.Handle{}, err
	}
	if err := check(spec); err != nil {
		return runtime.Handle{}, fmt.Errorf("start %s: %w", spec.ID.Label(), err)
	}
	if g := r.generations[spec.ID]; g != nil {
		if g.status.Hash != spec.Hash() {
			return runtime.Handle{}, fmt.Errorf("start %s: it is known with another spec: %w", spec.ID.Label(), runtime.Conflict)
		}
		return g.status.Handle, nil
	}
	if err := r.given(spec); err != nil {
		return runtime.Handle{}, fmt.Errorf("start %s: %w", spec.ID.Label(), err)
	}
	g := &generation{spec: spec, replicas: make([]replica, spec.Replicas)}
	g.status = runtime.GenerationStatus{
		Phase: runtime.GenerationRunning, Hash: spec.Hash(),
		Handle: runtime.Handle{Version: 1, Data: []byte(spec.ID.String())},
	}
	r.generations[spec.ID] = g
	r.reportGeneration(g)
	for i := range g.replicas {
		r.startInstance(g, i)
	}
	return g.status.Handle, nil
}

func check(s runtime.Spec) error {
	id := s.ID
	switch {
	case id.Environment == "" || id.Project == "" || id.Service == "" || id.Number == 0:
		return fmt.Errorf("the id %s is not complete: %w", id, runtime.Invalid)
	case len(s.Command) == 0 || s.Command[0] == "":
		return fmt.Errorf("there is no command: %w", runtime.Invalid)
	case s.Replicas < 1:
		return fmt.Errorf("%d replicas: %w", s.Replicas, runtime.Invalid)
	case s.Dir == "" || s.Dir[0] != '/':
		return fmt.Errorf("the directory %q is not absolute: %w", s.Dir, runtime.Invalid)
	}
	if s.Limits != (runtime.Limits{}) {
		return runtime.WithHint(fmt.Errorf("limits: %w", runtime.Unsupported), "remove them: nothing runs here that could be limited")
	}
	if s.Live != nil && s.Live.Kind == runtime.ProbeLog {
		return fmt.Errorf("a line of the log does not say that it still works: %w", runtime.Invalid)
	}
	return cmp.Or(checkProbe(s, s.Ready), checkProbe(s, s.Live))
}

func checkProbe(s runtime.Spec, p *runtime.Probe) error {
	if p == nil {
		return nil
	}
	hasPort := slices.ContainsFunc(s.Ports, func(port runtime.Port) bool { return port.Name == p.Port })
	switch p.Kind {
	case runtime.ProbeTCP, runtime.ProbeHTTP, runtime.ProbeGRPC:
		if !hasPort {
			return fmt.Errorf("the probe's port %q is not one of the service's: %w", p.Port, runtime.Invalid)
		}
	case runtime.ProbeExec:
		if len(p.Command) == 0 {
			return fmt.Errorf("the probe has no command: %w", runtime.Invalid)
		}
	case runtime.ProbeLog:
		if p.Text == "" {
			return fmt.Errorf("the probe has no text: %w", runtime.Invalid)
		}
	case runtime.ProbeNotify:
	default:
		return fmt.Errorf("probe %q: %w", p.Kind, runtime.Unsupported)
	}
	return nil
}

// Stop implements runtime.Runtime.
func (r *Runtime) Stop(ctx context.Context, id runtime.ID, how runtime.StopRequest) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.note(ctx, Call{Method: "Stop", ID: id, Stop: how}); err != nil {
		return err
	}
	g := r.generations[id]
	if g == nil {
		return fmt.Errorf("stop %s: %w", id.Label(), runtime.NotFound)
	}
	r.stop(g, how)
	return nil
}

// Route implements runtime.Runtime.
func (r *Runtime) Route(ctx context.Context, id runtime.ID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.note(ctx, Call{Method: "Route", ID: id}); err != nil {
		return err
	}
	if r.generations[id] == nil {
		return fmt.Errorf("route %s: %w", id.Label(), runtime.NotFound)
	}
	r.routed[serviceOf(id)] = id.Number
	return nil
}

// Shutdown implements runtime.Runtime.
func (r *Runtime) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.note(ctx, Call{Method: "Shutdown"}); err != nil {
		return err
	}
	for _, g := range r.generations {
		r.stop(g, runtime.StopRequest{Kill: true})
	}
	r.shut = true
	for w := range r.watchers {
		w.wake()
	}
	return nil
}

// SetReady changes the readiness of a live instance.
func (r *Runtime) SetReady(id runtime.InstanceID, ready bool, detail string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, i := r.find(id)
	if g == nil {
		return fmt.Errorf("instance %s: %w", id, runtime.NotFound)
	}
	r.ready(g, i, runtime.Readiness{Ready: ready, Detail: detail})
	return nil
}

// End ends a live instance.
func (r *Runtime) End(id runtime.InstanceID, exit runtime.Exit) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, i := r.find(id)
	if g == nil {
		return fmt.Errorf("instance %s: %w", id, runtime.NotFound)
	}
	r.ended(g, i, exit)
	return nil
}

// note is called with mu held, first by every call.
func (r *Runtime) note(ctx context.Context, c Call) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.calls = append(r.calls, c)
	if r.shut {
		return fmt.Errorf("the runtime was shut down: %w", runtime.Unavailable)
	}
	return nil
}
