// Package watch tells which files really changed, for all projects with one
// inotify instance.
//
// An event of the kernel says no more than where to look. A path counts as
// changed when it differs from the baseline (size, mtime, inode), and, once its
// content has been hashed, when the content differs: what editors make and
// remove again on the way to a save, touch, and a rewrite of the same bytes
// are nothing. So lost, merged and reordered events do no harm, and what the
// kernel could not tell (overflow, no watches left, file systems without
// events) is found by looking at everything, or by polling.
//
// Contents are hashed at the first event of a file, and in idle time before
// that, so that the first touch is nothing as well.
//
// All methods may be called concurrently. One goroutine owns all state; Set
// walks new trees in the goroutine of its caller, so that a large project does
// not hold up the others. Nobody waits for a slow consumer: what it has not
// taken is merged, at most one Batch per project, of bounded size.
//
// On macOS kqueue needs a descriptor for every *file* of a watched directory,
// so only as many as half of RLIMIT_NOFILE are watched there; what is beyond
// that is polled.
//
// Known gaps: ignore files above a root are read when it is set, and not
// watched; what is written through mmap tells nobody; a file system that hangs
// (NFS without its server) holds up everybody; a hard link that is written through a name outside of all roots
// tells nobody; a rename that changes nothing but the case of a name on a file
// system that ignores it is seen as no change; core.excludesFile is not read.
package watch

import (
	"errors"
	"sync"
	"time"
)

// Root is something to watch. It may lie anywhere, may not exist yet, and may
// overlap others. Patterns are those of gitignore(5), relative to Dir.
type Root struct {
	Dir       string   // absolute
	Flat      bool     // only files of Dir itself, not of what is below
	Include   []string // what counts; none: everything, unless there are Files
	Files     []string // counts exactly, ignored or not; absolute or relative to Dir
	Ignore    []string // wins over all but Files
	Gitignore bool     // the .gitignore files in Dir, below and (within its repository) above, and .git/info/exclude
	Poll      bool     // look at the directories, whatever the system tells: somebody knows better
}

// Kind says what happened to a file between two batches.
type Kind int

const (
	Created Kind = iota
	Written
	Removed
)

func (k Kind) String() string { return [...]string{"created", "written", "removed"}[k] }

// Change is one file. A rename is Removed at the old path, Created at the new.
type Change struct {
	Path string // absolute, below Root.Dir as that was given; any bytes but 0
	Kind Kind
}

// Batch is what changed in a project, sorted by path, each path once.
type Batch struct {
	Project     string
	Changes     []Change
	First, Last time.Time // of the events
	Rescanned   bool      // events were lost; Changes were found by comparing with the baseline
	Truncated   bool      // there were more than maxChanges: take everything for changed
}

// maxChanges bounds what a consumer that does not take its batch costs: some
// 10 MB.
const maxChanges = 100_000

// Options are for tests and unusual machines; the zero value is right.
type Options struct {
	// MaxWatches bounds what is watched by events; the rest is polled. Zero: as
	// many as the system gives.
	MaxWatches int
	// PollEvery is the least time between two looks at what is polled; looking
	// never takes more than 2 % of a core. Zero: 500 ms.
	PollEvery time.Duration
	// Silent names the kind of the file system that dir is on when it has no
	// events ("nfs"), else "". Nil: asks the system.
	Silent func(dir string) string
	// Writer names a process that has the file open for writing, else "". Nil:
	// asks /proc.
	Writer func(path string) string
}

// ErrClosed is what methods return after Close.
var ErrClosed = errors.New("the watcher is closed")

// Watcher watches.
type Watcher struct {
	watches  *watches
	inbox    *inbox
	asks     chan func(*owner)
	batches  chan Batch
	stirring chan string
	warnings chan Warning
	setting  chan struct{} // has room for who is in Set
	stop     chan struct{}
	stopOnce sync.Once
	running  sync.WaitGroup
}

// New watches nothing yet. It cannot fail: without inotify it polls, and says
// so when there is something to watch.
func New(options Options) *Watcher {
	if options.PollEvery == 0 {
		options.PollEvery = 500 * time.Millisecond
	}
	if options.Silent == nil {
		options.Silent = silent
	}
	if options.Writer == nil {
		options.Writer = writer
	}
	w := &Watcher{
		inbox:    newInbox(),
		asks:     make(chan func(*owner)),
		batches:  make(chan Batch),
		stirring: make(chan string, 1),
		warnings: make(chan Warning),
		setting:  make(chan struct{}, 1),
		stop:     make(chan struct{}),
	}
	poller := newPoller(options.PollEvery, w.inbox)
	w.watches = newWatches(options, poller)
	if w.watches.notify != nil {
		w.running.Go(func() { w.inbox.pump(w.watches.notify) }) // ends when Close closes notify
	}
	w.running.Go(func() { poller.run(w.stop) })
	w.running.Go(func() { newOwner(w, options).run() }) // ends with stop
	return w
}

// Batches is where changes come out; it is never closed.
func (w *Watcher) Batches() <-chan Batch { return w.batches }

// Stirring names projects whose files begin to change: most often a Batch
// follows some milliseconds later. It is a hint: what nobody takes is dropped.
func (w *Watcher) Stirring() <-chan string { return w.stirring }

// Warnings is what users should know; it is never closed. The latest 256 wait
// for whoever reads.
func (w *Watcher) Warnings() <-chan Warning { return w.warnings }

// Close ends everything that New began, and waits for it.
func (w *Watcher) Close() {
	w.stopOnce.Do(func() {
		close(w.stop)
		w.watches.close()
	})
	w.running.Wait()
}

// Set says what of a project is to be watched from now on; no roots end it.
// When it returns, every change from then on will be told. What was watched
// before goes on without a gap: what changes while roots are replaced is told.
func (w *Watcher) Set(project string, roots []Root) error {
	wanted, err := normalize(roots)
	if err != nil {
		return err
	}
	select {
	case w.setting <- struct{}{}: // one at a time, so that nobody builds a tree twice
		defer func() { <-w.setting }()
	case <-w.stop:
		return ErrClosed
	}
	var missing []Root
	if err := w.ask(func(o *owner) { missing = o.prepare(project, wanted) }); err != nil {
		return err
	}
	grower := &grower{watches: w.watches}
	var trees []*tree
	for _, root := range missing {
		trees = append(trees, plant(project, root, grower))
	}
	return w.ask(func(o *owner) { o.install(project, wanted, trees, grower) })
}

// Acting notes that something of the project is being built or started because
// of a change, until done is called with the time when that was over; only the
// first call counts. By this alone a project's own output can be told from its user's saves: see
// outputs.
func (w *Watcher) Acting(name string) (done func(at time.Time)) {
	var p *project
	_ = w.ask(func(o *owner) {
		if p = o.projects[name]; p != nil {
			p.outputs.begin(time.Now())
		}
	})
	var once sync.Once
	return func(at time.Time) {
		once.Do(func() {
			if p != nil {
				_ = w.ask(func(*owner) { p.outputs.end(at) })
			}
		})
	}
}

// ask has the owner do something, and waits.
func (w *Watcher) ask(do func(*owner)) error {
	done := make(chan struct{})
	select {
	case w.asks <- func(o *owner) { do(o); close(done) }:
	case <-w.stop:
		return ErrClosed
	}
	<-done // the owner does what it has taken before it looks at stop again
	return nil
}
