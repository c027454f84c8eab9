// Package process is the runtime that keeps generations alive as child
// processes of this one.
//
// Only one Runtime may live in an OS process, and nothing else in that
// process may start children or wait for them: the Runtime reaps every child
// there is (wait4(-1)), and with PR_SET_CHILD_SUBREAPER on Linux also every
// orphan of its services. No os/exec, no os.Process.
//
// Who owns what:
//   - children (children.go) is the only place that forks, signals and reaps,
//     all under one mutex. So a quick exit is never lost, and a process is
//     signalled only while it is certain that its pid is still its own. On
//     Linux a launcher (launch_linux.go) is the thread that forks.
//   - a keeper (keeper.go) is one generation. It owns a keep (keep.go), the
//     pure step that decides, and does what that says, one fact at a time, in a
//     goroutine that lasts as long as there are any.
//   - an instance (instance.go) is one attempt of a replica: its stdio, probes
//     (attend.go) and tree, from exec to the verified end.
//   - the sweeper (sweep.go) ends what is left of trees, for all in one go.
//   - the journal (runtime/journal) keeps what Watch tells.
//   - listeners (listeners.go) are all sockets that services and the gateway
//     accept from; generations hold those of their spec.
//   - records (records.go) are what a later Runtime needs should this die.
//
// Everything exported may be called concurrently. Every goroutine ends before
// Close returns.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/journal"
	"github.com/stead-dev/stead/runtime/sockets"
)

// Options of New. Dir, Logs and Nonce are required.
type Options struct {
	Dir         string            // private to this runtime, 0700: records and snapshots
	Logs        Logs              // takes what the services write
	Log         *slog.Logger      // nil: discarded
	Nonce       string            // chosen by whoever starts this runtime, never used before
	Build       string            // identity of the binary, for Describe
	Environment map[string]string // STEAD_* variables that every service gets
	Now         func() time.Time  // nil: time.Now

	// DisableCgroups makes the runtime do without cgroups where it could have
	// them. Trees are then ended by marks alone (mark_linux.go).
	DisableCgroups bool

	// Sockets is the path of the Unix socket that hands out what Listen has
	// bound (runtime/sockets), in a directory of mode 0700; "": there is none.
	// Lenders in that directory, which have duplicates of what an earlier
	// runtime had bound, are asked for them before they are ended.
	Sockets string
}

// Logs takes the output of services, and gives it back. runtime/logs has the
// one on disk.
type Logs interface {
	Writer(environment, project, service string) Writer
	Read(ctx context.Context, query runtime.LogQuery, fn func(runtime.LogBlock) error) error
}

// Writer appends to the log of one service. All methods may be called
// concurrently.
type Writer interface {
	// Copy reads src to its end (EOF, EIO, or that src was closed). tee, when
	// not nil, is called with each block before the next is read.
	Copy(src *os.File, instance runtime.InstanceID, stream runtime.Stream, tee func([]byte))
	// Note appends a line by stead itself.
	Note(instance runtime.InstanceID, text string)
	// Close is called once per Writer, after the last Copy has returned.
	Close()
}

// Runtime runs generations as child processes. See New.
type Runtime struct {
	options   Options
	log       *slog.Logger
	now       func() time.Time
	children  *children
	sweeper   *sweeper
	journal   *journal.Journal
	records   *records
	ports     *ports
	listeners *listeners
	lender    *sockets.Server // nil: nobody is handed one
	cgroups   *cgroups        // nil: none
	sockets   atomic.Uint64   // for sd_notify, made so far
	turns     atomic.Uint64   // connections so far, see Connect
	usage     usage
	oom       *oomWatch
	unready   crowd
	null      *os.File       // stdin of services
	pipes     chan os.Signal // takes SIGPIPE, so that children do not inherit that it is ignored
	done      chan struct{}  // closed at the end of Shutdown and Close
	work      sync.WaitGroup // keepers and sessions

	mu       sync.Mutex
	keepers  map[runtime.ID]*keeper
	lost     map[runtime.ID]string // generation of an earlier runtime -> hash
	sessions map[*runSession]struct{}
	shared   []string // Spec.Inherited of the last Start: mostly that of the next
	runs     int      // commands run beside services so far
	closing  bool     // no Start any more
	closed   bool
}

var _ runtime.Runtime = (*Runtime)(nil)

// New takes over from whichever Runtime used the same Dir before: what that
// left running is ended, and reported as lost. An error means that Dir cannot
// be used.
func New(o Options) (*Runtime, error) {
	if o.Dir == "" || o.Nonce == "" || o.Logs == nil {
		return nil, fmt.Errorf("process runtime: Dir, Nonce and Logs are required: %w", runtime.Invalid)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("process runtime: %w", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("process runtime: %w", err)
	}
	r := &Runtime{
		options: o, log: o.Log, now: o.Now, null: null,
		journal:  journal.New(o.Now, journal.ExitsKept),
		ports:    newPorts(o.Now, o.Nonce),
		done:     make(chan struct{}),
		keepers:  map[runtime.ID]*keeper{},
		lost:     map[runtime.ID]string{},
		sessions: map[*runSession]struct{}{},
	}
	r.listeners = newListeners(r.ports)
	closeOnExec(3) // what our own parent left open is not for services
	if err := r.inherit(); err != nil {
		r.listeners.close()
		null.Close()
		return nil, err
	}
	if err := r.lend(); err != nil {
		r.listeners.close()
		r.records.close()
		r.cgroups.close()
		null.Close()
		return nil, err
	}
	r.children = newChildren(o.Nonce, o.Log)
	r.sweeper = newSweeper(r.children, o.Log)
	r.oom = newOOMWatch()
	// A signal that is ignored stays so in children, one that is caught does
	// not: a service must die of a closed pipe as it would in a shell.
	r.pipes = make(chan os.Signal, 1)
	signal.Notify(r.pipes, syscall.SIGPIPE)
	return r, nil
}

// inherit ends what an earlier runtime left, and opens the records anew.
func (r *Runtime) inherit() error {
	old := readRecords(filepath.Join(r.options.Dir, recordsName))
	settle := r.borrow() // from those who are ended now
	defer settle()
	endLeftovers(old, r.options.Environment, r.log)
	for _, name := range []string{snapshotsName, noticesName} {
		if err := os.RemoveAll(filepath.Join(r.options.Dir, name)); err != nil {
			return fmt.Errorf("process runtime: remove old %s: %w", name, err)
		}
	}
	if !r.options.DisableCgroups {
		r.cgroups = newCgroups(r.options.Nonce, r.log)
	}
	head := header{Nonce: r.options.Nonce, Boot: bootID(), Cgroup: r.cgroups.path()}
	records, err := createRecords(filepath.Join(r.options.Dir, recordsName), head, old.unfinished(), r.log)
	if err != nil {
		r.cgroups.close()
		return err
	}
	r.records = records
	r.reportLost(old)
	return nil
}

// lend starts the server that hands out sockets.
func (r *Runtime) lend() (err error) {
	if r.options.Sockets != "" {
		if r.lender, err = sockets.Serve(r.options.Sockets, r.listeners, r.log); err != nil {
			return fmt.Errorf("process runtime: %w", err)
		}
	}
	return nil
}

// reportLost puts what an earlier runtime took along into the journal.
func (r *Runtime) reportLost(old *recorded) {
	for _, g := range old.unfinished() {
		status := runtime.GenerationStatus{
			Phase: runtime.GenerationFailed, Hash: g.Hash, Handle: handle(g.ID), Restarts: g.Restarts,
			Reason: "the runtime died and took it along", Lost: true,
		}
		if g.End != nil {
			status = *g.End
		}
		for _, e := range g.Exits {
			r.journal.Exited(e.Instance, e.Exit)
		}
		r.journal.Generation(g.ID, status)
		r.lost[g.ID] = g.Hash
	}
}

// Describe implements runtime.Runtime.
func (r *Runtime) Describe(_ context.Context, version int) (runtime.Description, error) {
	if version < 1 || version > runtime.ContractVersion || version < runtime.ContractVersion-1 {
		err := fmt.Errorf("contract version %d: this runtime speaks %d: %w", version, runtime.ContractVersion, runtime.Unsupported)
		return runtime.Description{}, runtime.WithHint(err, "stead and its runtime come from different releases: install both anew")
	}
	d := runtime.Description{
		Name: "process", Version: version, Build: r.options.Build, PID: os.Getpid(), Nonce: r.options.Nonce,
		Capabilities: []string{runtime.CapabilityTerminal, runtime.CapabilitySockets, runtime.CapabilityReserve, runtime.CapabilityConnect}, Goroutines: goruntime.NumGoroutine(),
	}
	if inspects {
		d.Capabilities = append(d.Capabilities, runtime.CapabilityInspect)
	}
	if measures {
		d.Capabilities = append(d.Capabilities, runtime.CapabilityStats)
	}
	if r.cgroups != nil {
		d.Capabilities = append(d.Capabilities, runtime.CapabilityCgroup)
	}
	return d, nil
}

// Route implements runtime.Runtime: all traffic passes stead's gateway.
func (r *Runtime) Route(context.Context, runtime.ID) error { return nil }

// Watch implements runtime.Runtime. A watcher that falls behind by more than
// watchLimit events is sent the whole present and Synced again instead of
// what it missed. Watch ends with Unavailable when the runtime is closed.
func (r *Runtime) Watch(ctx context.Context, fn func(runtime.Event) error) error {
	return r.journal.Watch(ctx, fn)
}

// Logs implements runtime.Runtime.
func (r *Runtime) Logs(ctx context.Context, query runtime.LogQuery, fn func(runtime.LogBlock) error) error {
	return r.options.Logs.Read(ctx, query, fn)
}

// Done is closed when Shutdown or Close has ended everything.
func (r *Runtime) Done() <-chan struct{} { return r.done }

// handle is what the daemon keeps of a generation: its ID says all.
func handle(id runtime.ID) runtime.Handle {
	return runtime.Handle{Version: 1, Data: []byte(id.String())}
}

var errClosing = errors.New("the process runtime is shutting down")
