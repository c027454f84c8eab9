// Package daemon is the brain of stead: it owns the supervisor's state and
// the clock, feeds facts and requests to supervisor.Step, commits what is to
// be remembered, and hands the resulting commands out.
//
// One goroutine, Run, owns all state. Everybody else sends it messages, and
// reads the immutable Present that it publishes after each turn; so there is
// no lock around state and no reader ever waits for a writer. Commands are
// carried out by workers, those on one service in order.
//
// The daemon may be killed at any instant: what it decided is committed before
// it is done, and what happened meanwhile is told again by the runtime.
package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Options are the parts that a Daemon is made of.
type Options struct {
	Environment string // that is supervised; empty: Local
	Store       Store
	Restored    Restored
	Connect     Connector
	Load        Loader
	Find        Finder                 // nil: only for manifests that are named by File
	Inherit     Inheritor              // nil: services inherit what the caller has
	Watcher     Watcher                // nil: saves do nothing
	Inputter    Inputter               // with Watcher
	Diagnose    func(Output) Diagnoser // nil: nothing is found in output
	Gateways    *Gateways              // nil: services listen on published ports themselves
	Limit       int                    // generations that may be unready at once
	Builds      int                    // that may run at once
	Boot        string                 // identity of this boot of the machine
	Problem     string                 // what went wrong before the daemon started, for the user
	Log         *slog.Logger
}

// Daemon supervises. Its methods may be called concurrently once Run runs.
type Daemon struct {
	environment string
	store       Store
	connect     Connector
	load        Loader
	find        Finder
	inherit     Inheritor
	diagnose    func(Output) Diagnoser
	gateways    *Gateways
	saves       *saves
	log         *slog.Logger

	requests chan message
	facts    chan message
	present  atomic.Pointer[Present]
	link     atomic.Pointer[link] // nil while the runtime cannot be reached
	routed   routed
	journal  *journal
	ports    *ports
	applying chan struct{} // of capacity 1, full while a manifest is read and applied: two at once could take one port
	stopped  chan struct{} // closed by a Stop request that was carried out
	stopOnce sync.Once
	wanted   chan struct{}                           // somebody waits for the runtime
	again    atomic.Pointer[context.CancelCauseFunc] // has the runtime attached anew, while it is attached
	shut     atomic.Bool                             // the runtime was told to end: no new one is wanted
	ended    chan struct{}                           // closed when Run takes no more requests

	// The rest belongs to Run's goroutine.
	state       supervisor.State
	projects    map[string]Project
	specs       map[runtime.ID]runtime.Spec
	deferred    []message        // facts that wait for a state that can be written again
	noted       Noted            // facts that were applied; exits up to there have their transitions
	told        map[exitKey]bool // while a new runtime tells the present: exits that are events already
	forgot      uint64           // sequence up to which the runtime was told to forget
	forgotAt    time.Time
	saved       time.Time // when the last commit was made
	applied     uint64    // Present.Applied
	opened      uint64    // Present.Opened
	opening     opening
	reports     reports
	unreachable map[supervisor.Name]supervisor.Cause
	diagnoses   map[supervisor.Name]diagnosis
	diagnostics map[supervisor.Name][]runtime.Diagnostic // of diagnoses, as published
	builds      builds
	notes       map[string]string          // Present.Notes
	reloads     map[supervisor.Name]Reload // replaced, never changed
	recalled    bool                       // what was wrong before this daemon was looked for
	unsaved     Batch                      // transitions, and what follows from facts: committed later, see commit
	boot        string                     // to be committed once
	lost        string                     // why the runtime cannot be reached
	driver      *runtime.Driver            // who may change what runs there; nil: we
	trouble     string                     // what is wrong with what the runtime runs on
	broken      string                     // why the state cannot be written
	problem     string                     // Options.Problem
	work        *queue
	turned      time.Time     // when the last turn for facts ended
	pause       time.Duration // after turned
	counted     time.Time     // since when recent counts
	recent      int           // facts that came in since, for manyTime at most
	before      int           // those of the manyTime before
	wake        time.Time     // when time alone changes something; zero: never
}

// batchLimit bounds how many messages one turn takes, so that a flood of
// facts cannot keep a request waiting for long.
const batchLimit = 256

// While many facts come in, a turn for them is followed by a pause of
// factShare times what it took, factPause at most: with a thousand services a
// turn costs about the same for one fact as for fifty. One service that is
// reloaded makes some ten facts, and nobody is to wait between those.
const (
	factShare = 50
	factPause = 25 * time.Millisecond
	manyFacts = 32
	manyTime  = 100 * time.Millisecond
)

// flushDelay bounds how long a transition may wait for a commit of its own.
const flushDelay = time.Second

// New makes a Daemon from what was remembered.
func New(o Options) *Daemon {
	rebooted := o.Restored.Boot != "" && o.Restored.Boot != o.Boot
	d := &Daemon{
		environment: cmp.Or(o.Environment, Local),
		store:       o.Store,
		connect:     o.Connect,
		load:        o.Load,
		find:        o.Find,
		inherit:     o.Inherit,
		applying:    make(chan struct{}, 1),
		wanted:      make(chan struct{}, 1),
		log:         o.Log,
		requests:    make(chan message, batchLimit),
		facts:       make(chan message, batchLimit),
		journal:     newJournal(o.Store, o.Restored.LastEvent),
		ports:       newPorts(o.Restored.Ports),
		stopped:     make(chan struct{}),
		ended:       make(chan struct{}),
		boot:        o.Boot,
		work:        newQueue(commandWorkers),
		state:       supervisor.New(o.Limit, o.Restored.Services, rebooted),
		projects:    o.Restored.Projects,
		specs:       o.Restored.Specs,
		reloads:     map[supervisor.Name]Reload{},
		problem:     o.Problem,
		noted:       o.Restored.Noted,
		lost:        "not connected to the runtime yet",
		reports:     newReports(),
		gateways:    o.Gateways,
		diagnose:    o.Diagnose,
		builds:      newBuilds(o.Builds),
	}
	// A state without a boot was never written by a daemon that knew what
	// runs: it is new, or was lost.
	d.state.Bereft = o.Restored.Boot == ""
	if d.projects == nil {
		d.projects = map[string]Project{}
	}
	if d.specs == nil {
		d.specs = map[runtime.ID]runtime.Spec{}
	}
	if o.Gateways != nil {
		d.projects[o.Gateways.Project.ID] = o.Gateways.Project
	}
	d.note(Event{Time: time.Now(), Kind: EventDaemon, Text: startText(rebooted)})
	if o.Problem != "" {
		d.note(Event{Time: time.Now(), Kind: EventDaemon, Text: o.Problem})
	}
	d.routed.follow(0, false, nil)
	d.publish()
	if o.Watcher != nil {
		d.saves = newSaves(d, o.Watcher, o.Inputter)
	}
	return d
}

func startText(rebooted bool) string {
	if rebooted {
		return "the daemon started after a reboot"
	}
	return "the daemon started"
}

// Run supervises until ctx ends (the daemon detaches: everything goes on
// running) or a Stop request was carried out. It returns after all its
// goroutines have ended and what could be written was.
func (d *Daemon) Run(detach context.Context) error {
	ctx, cancel := context.WithCancel(detach)
	var attending sync.WaitGroup
	attending.Go(func() { d.attend(ctx) }) // ends with ctx
	if d.gateways != nil {
		o := newDoors(d, d.gateways.Dial)
		attending.Go(func() { o.attend(ctx) }) // ends with ctx
	}
	if d.saves != nil {
		attending.Go(func() { d.saves.attend(ctx) }) // ends with ctx
	}
	d.loop(ctx)
	close(d.ended)
	cancel()
	d.work.close()
	attending.Wait()
	return d.flush()
}

// Stopped is closed when a Stop request was carried out and Run is to end.
func (d *Daemon) Stopped() <-chan struct{} { return d.stopped }

func (d *Daemon) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		facts := d.facts
		if len(d.deferred) > 0 {
			facts = nil // a state that cannot be written takes no more facts; the runtime keeps them
		}
		select {
		case <-ctx.Done():
			return
		case <-d.stopped:
			return
		case m := <-d.requests:
			if d.ending() {
				return // what was asked after a stop is not to be done; ended answers it
			}
			d.turn(ctx, drain(d.requests, m))
		case m := <-facts:
			batch := d.gather(ctx, facts, m)
			began := time.Now()
			d.turn(ctx, batch)
			d.rest(began, len(batch))
		case <-timer.C:
			d.turn(ctx, nil)
		}
		timer.Reset(d.wait(time.Now()))
	}
}

// ending reports whether a Stop request was carried out.
func (d *Daemon) ending() bool {
	select {
	case <-d.stopped:
		return true
	default:
		return false
	}
}

// gather is drain for facts. While many come in it waits a moment for more of
// them: a turn costs about the same for one as for a hundred.
func (d *Daemon) gather(ctx context.Context, facts chan message, first message) []message {
	batch := drain(facts, first)
	if wait := d.pause - time.Since(d.turned); wait > 0 && len(batch) < batchLimit {
		wait := time.NewTimer(wait)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
		batch = append(batch, drain(facts, message{})[1:]...)
	}
	return batch
}

// rest notes what a turn for facts has cost, and so when the next one is due.
func (d *Daemon) rest(began time.Time, facts int) {
	if since := began.Sub(d.counted); since > manyTime {
		d.before = d.recent
		if since > 2*manyTime {
			d.before = 0
		}
		d.counted, d.recent = began, 0
	}
	d.recent += facts
	d.turned, d.pause = time.Now(), 0
	if max(d.recent, d.before) > manyFacts {
		d.pause = min(factShare*d.turned.Sub(began), factPause)
	}
}

// drain takes what else is there, up to the batch limit.
func drain(from chan message, first message) []message {
	batch := []message{first}
	for len(batch) < batchLimit {
		select {
		case m := <-from:
			batch = append(batch, m)
		default:
			return batch
		}
	}
	return batch
}

// wait returns how long the loop may sleep when nothing comes in.
func (d *Daemon) wait(now time.Time) time.Duration {
	wait := time.Hour
	at, ok := d.state.Wake()
	if ok {
		wait = max(0, at.Sub(now))
	}
	if idle := d.nextIdle(); !idle.IsZero() {
		wait = min(wait, max(0, idle.Sub(now)))
	}
	if overdue := d.builds.wake(); !overdue.IsZero() && d.state.Synced { // else nothing can be ended
		wait = min(wait, max(0, overdue.Sub(now)))
	}
	d.wake = at
	if !d.unsaved.empty() || len(d.deferred) > 0 || d.noted.Sequence != d.forgot {
		wait = min(wait, flushDelay)
	}
	return wait
}
