// Package kubernetes is the runtime that keeps generations alive as pods of a
// cluster. The cluster schedules, heals and restarts; this package says what
// there is to be, and tells what became of it.
//
// One Runtime serves one environment of one project in one namespace. All that
// it has to remember is in the cluster: a generation is a Deployment or a Job
// with its number in its labels, and what the runtime must know of its spec in
// annotations. So it may be killed at any moment; its successor reads the same
// objects and says the same of them.
//
// Who does what:
//   - objects*.go turn a Spec into objects; pure functions.
//   - apply.go writes them by server-side apply, one write for each object that
//     differs.
//   - watch.go follows Deployments, Jobs, pods, EndpointSlices and warnings, and
//     feeds every change to the ledger; follow.go does so by reflectors.
//   - ledger.go turns that into events, under one mutex: a change is told by
//     the time the next one is looked at, so no exit is overlooked.
//   - lease*.go see to it that of all runtimes of a project one writes.
//   - worker.go does what the ledger decides on its own: ending a generation
//     that failed, shortening a grace.
//
// Everything exported may be called concurrently. Every goroutine ends before
// Close returns.
package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/journal"
)

// Packer makes the image of a spec that has a Package, brings it to where the
// cluster finds it, and says by which reference that is.
type Packer interface {
	Pack(ctx context.Context, spec runtime.Spec) (reference string, err error)
}

// Options of New. Client, Namespace, Environment and Project are required.
type Options struct {
	Client      kubernetes.Interface
	Config      *rest.Config // of Client; nil where there is none, as with a fake: no terminals, no connections
	Namespace   string       // made when it is absent
	Environment string       // the one that is served: ID.Environment
	Project     string       // ID.Project
	Identity    string       // by which others know who drives; empty: user@host
	Packer      Packer       // nil: specs with a Package are refused
	Log         *slog.Logger // nil: discarded
	Nonce       string       // chosen by whoever starts this runtime, never used before
	Build       string       // identity of the binary, for Describe
	Now         func() time.Time
	ExitsKept   int // see journal.New; 0: as the contract says
}

// Runtime runs generations as pods. See New.
type Runtime struct {
	options     Options
	client      kubernetes.Interface
	config      *rest.Config
	namespace   string
	environment string
	project     string
	log         *slog.Logger
	now         func() time.Time
	journal     *journal.Journal
	ledger      *ledger
	cluster     *observer
	worker      *worker
	lease       *lease
	metrics     atomic.Bool // there is a metrics API
	usage       usage
	kept        kept
	reach       reach
	ctx         context.Context // of all that goes on between calls; ends by Close
	cancel      context.CancelFunc
	done        chan struct{} // closed at the end of Shutdown and Close
	finish      func()        // closes done, once
	work        sync.WaitGroup

	mu      sync.Mutex
	closing bool // no Start any more
	closed  bool
}

// New returns a runtime that begins to follow the cluster at once, whether or
// not that answers yet.
func New(o Options) (*Runtime, error) {
	if o.Client == nil || o.Namespace == "" || o.Environment == "" || o.Project == "" {
		return nil, fmt.Errorf("kubernetes runtime: client, namespace, environment and project are required: %w", runtime.Invalid)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Identity == "" {
		o.Identity = Identity("")
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	r := &Runtime{
		options: o, client: o.Client, config: o.Config, log: o.Log, now: o.Now,
		namespace: o.Namespace, environment: o.Environment, project: o.Project,
		ctx: ctx, cancel: cancel, done: done, finish: sync.OnceFunc(func() { close(done) }),
		journal: journal.New(o.Now, cmp.Or(o.ExitsKept, journal.ExitsKept)),
	}
	r.worker = newWorker(r)
	r.ledger = newLedger(r.journal, o.Now, r.worker.wake)
	r.lease = newLease(r)
	r.cluster = observe(r)
	r.work.Go(r.lease.run)
	r.work.Go(r.worker.run)
	r.work.Go(r.watchReach)     // ends with the runtime
	r.work.Go(r.lookForMetrics) // ends when the cluster has answered, or with the runtime
	return r, nil
}

// Describe implements runtime.Runtime. It asks nobody: the cluster may be away.
func (r *Runtime) Describe(_ context.Context, version int) (runtime.Description, error) {
	if version < 1 || version > runtime.ContractVersion || version < runtime.ContractVersion-1 {
		err := fmt.Errorf("contract version %d: this runtime speaks %d: %w", version, runtime.ContractVersion, runtime.Unsupported)
		return runtime.Description{}, runtime.WithHint(err, "stead and its runtime come from different releases: install both anew")
	}
	d := runtime.Description{
		Name: "kubernetes", Version: version, Build: r.options.Build, PID: os.Getpid(), Nonce: r.options.Nonce,
		Capabilities: r.capabilities(), Goroutines: goruntime.NumGoroutine(),
		Trouble: r.reach.trouble(),
	}
	if r.cluster.known() {
		driver := r.lease.driver()
		d.Driver = &driver
	}
	return d, nil
}

// Done is closed when Shutdown or Close has ended everything.
func (r *Runtime) Done() <-chan struct{} { return r.done }
