// Package supervisor decides what happens to services, and does nothing
// itself: Step takes the state, the time and a fact, and returns the next
// state and the commands that follow from it.
//
// Everything here is a pure value: no I/O, no goroutine, no clock, no
// randomness. Step never changes the State it is given, so a State may be
// read concurrently for ever. Users' wants and observed facts are kept apart
// (Service.Want, Service.Generations); every decision makes the second follow
// the first.
package supervisor

import "time"

// Name identifies a service across everything that one daemon supervises.
type Name struct {
	Environment string
	Project     string
	Service     string
}

// ID is one generation of a service.
type ID struct {
	Name
	Number uint64
}

// Plan is what the manifest says about a service, as far as decisions need it.
type Plan struct {
	Revision  string // identity of what runs: equal revisions need no new generation
	Spec      string `json:",omitempty"` // identity of what runs without how it is built: all that is known of an orphan
	DependsOn []Dependency
	Build     bool // a build must succeed before each start
	Reload    Reload
	Signal    string        `json:",omitempty"` // what ReloadSignal sends: "HUP"
	OneShot   bool          // ends by itself: Completed is its goal
	Replicas  int           // at least 1
	Proxied   bool          `json:",omitempty"` // callers come through the gateway, which can hold them and knows when they are done
	Drain     time.Duration // how long a replaced generation keeps its callers, when Proxied; 0: DefaultDrain
	OnDemand  bool          `json:",omitempty"` // sleeps until somebody calls it, or a service that is awake depends on it
	First     bool          `json:",omitempty"` // all others need it without saying so: the next slot that is free is its own
	Idle      time.Duration `json:",omitempty"` // how long it must be unused to be Idled; measured by the gateway
}

// DefaultDrain is how long a replaced generation may finish what it serves.
const DefaultDrain = 5 * time.Second

// Reload says how a new generation takes the place of an old one.
type Reload string

// The ways to reload.
const (
	ReloadOverlap Reload = "overlap" // start the new one beside the old one, route when ready, then drain the old one
	ReloadRestart Reload = "restart" // hold traffic, stop the old one, start the new one
	ReloadSignal  Reload = "signal"  // a save sends Plan.Signal to what runs; else as restart
	ReloadNone    Reload = "none"    // a save does nothing; else as restart
)

// Dependency is a need of a service for another one of its project.
type Dependency struct {
	Service   string
	Condition Condition
	Restart   bool // be given a new generation when the dependency is given one
}

// Condition is what a dependency must have reached; the Compose
// specification's words.
type Condition string

// The conditions.
const (
	ConditionStarted   Condition = "service_started"
	ConditionHealthy   Condition = "service_healthy"
	ConditionCompleted Condition = "service_completed_successfully"
)

// Phase is where a service or a generation stands.
type Phase string

// The phases.
const (
	PhasePending   Phase = "pending"   // decided; waits for a dependency, a slot, or the runtime
	PhaseBuilding  Phase = "building"  //
	PhaseStarting  Phase = "starting"  // started, not ready yet
	PhaseReady     Phase = "ready"     //
	PhaseUnready   Phase = "unready"   // was ready, and is not any more
	PhaseBackoff   Phase = "backoff"   // died, waits to be started again
	PhaseDraining  Phase = "draining"  // replaced, finishes what it serves
	PhaseStopping  Phase = "stopping"  //
	PhaseStopped   Phase = "stopped"   //
	PhaseCompleted Phase = "completed" // a one-shot that ended well
	PhaseFailed    Phase = "failed"    //
)

// Final reports whether nothing of a generation in this phase runs or will.
func (p Phase) Final() bool {
	return p == PhaseStopped || p == PhaseCompleted || p == PhaseFailed
}

// State is everything the supervisor knows. Its maps and slices are shared
// between States and must not be changed by anybody.
type State struct {
	// Services are immutable, and behind pointers so that a Step copies a
	// word for each one that it leaves alone.
	Services map[Name]*Service
	// Synced is true while the runtime's reports are complete. Before that
	// nothing is started or stopped, as the truth is not known.
	Synced bool
	// Limit is how many generations may be unready at once, over all
	// services; New sets it.
	Limit int
	// Bereft is true from the start of a daemon whose memory was lost until
	// Synced: what the runtime reports meanwhile is taken over, not stopped,
	// as only the memory of it is gone, and not the wish for it.
	Bereft bool
	// Observing is true while somebody else decides (Attached.Observe).
	Observing bool

	graph *graph // of Services' plans; derived, made anew by Applied
	// restless are those of Services that are, in the order of graph.compare;
	// derived. Of a thousand services few are.
	restless []*Service
	// listed are Services as graph places them, nil where one was dropped;
	// derived. Two states of one graph are compared by it at a glance.
	listed []*Service
	spent  map[Name]uint64 // highest number of services that were dropped, or never known
}

// Service is one service: what is wanted of it and what there is of it.
type Service struct {
	Name Name
	Plan Plan
	Gone bool // no longer in the manifest: stopped, then removed from the State
	// Orphan is true for a service that was taken over (State.Bereft): its
	// Plan is a guess until the next Applied, and its revision that of the
	// spec which the runtime was given.
	Orphan bool `json:",omitempty"`
	Want   Want
	Last   uint64 // highest generation number ever used

	// Routed is the generation that gets the traffic, 0 when none does.
	Routed uint64
	// Served is the last generation that got traffic, or completed. When it
	// changes, dependents that asked for it (Dependency.Restart) are given a
	// new generation.
	Served uint64
	// Held is true while callers wait who were served before, or may wake the
	// service: it goes first where slots are given. (Those of a first start
	// wait as well, see Traffic, but there nothing was taken away.)
	Held bool
	// Awake is true from the first call of an on-demand service until it is
	// Idled. Without it the service runs only while it is needed.
	Awake bool `json:",omitempty"`
	// Asleep is what was decided about that: true while an on-demand service
	// is wanted, but neither called nor needed.
	Asleep bool `json:",omitempty"`
	// Owed is the save of which the running generation is still to be told by
	// Plan.Signal, in the words of Changed; empty when there is none.
	Owed string `json:",omitempty"`
	// Made is when the newest generation was decided on, or one was spared by
	// Plan.Reload: what was saved before that needs nothing any more.
	Made time.Time `json:",omitzero"`
	// Trigger is why the newest generation was made, or the next one will be.
	Trigger string `json:",omitempty"`
	// Generations are those that live, or ended last, in rising order: at
	// most one that waits, builds or starts; the routed one; and those that
	// drain or stop.
	Generations []Generation
	// Rejected is the revision that was tried and found bad (with the cause),
	// so that it is not tried again until something changes or the user asks.
	Rejected string
	Cause    Cause
}

// Want is what the user asked for.
type Want struct {
	Up    bool
	Keep  bool   // asked with -d: comes back after a reboot
	Nonce uint64 // raised by each request to restart; a generation made under a lower one is replaced
}

// Generation is one version of a service.
type Generation struct {
	Number    uint64
	Plan      Plan // as it was when the generation was made
	Nonce     uint64
	Trigger   string `json:",omitempty"` // why it was made, in the user's words: "cart/main.go changed"
	Built     bool   // its build succeeded
	Phase     Phase
	Since     time.Time // of Phase
	Deadline  time.Time // draining: when it is stopped; else zero
	Queued    bool      // pending: waits for nothing but a slot
	Admitted  bool      // pending: has a slot, waits for its predecessor to end
	Confirmed bool      // the runtime has reported it since the last Attached
	Known     bool      // the runtime has reported it, some time
	WasReady  bool      // all replicas were ready at once, some time
	Restarts  int
	Until     time.Time // backoff: when the next start happens
	Instances []Instance
	Cause     Cause // failed, backoff, unready: why
}

// Instance is one process of a generation, by replica in rising order; one
// that ended stays until its successor is started.
type Instance struct {
	Replica   int
	Attempt   int
	PID       int
	Ready     bool
	Since     time.Time // of the last change
	Endpoints map[string]string
	Exit      string // how it ended, in words; empty while it lives
	Detail    string `json:",omitempty"` // what its probe saw last, or what it says of itself
}

// Cause says why something is not as wanted.
type Cause struct {
	Kind CauseKind `json:",omitempty"`
	Text string    `json:",omitempty"` // one line for the user
}

// CauseKind is the class of a Cause.
type CauseKind string

// The kinds of Cause.
const (
	CauseBuild      CauseKind = "build"      // the build failed
	CauseExit       CauseKind = "exit"       // it ended when it should not have
	CauseMemory     CauseKind = "memory"     // the kernel ended it for want of memory
	CauseUnready    CauseKind = "unready"    // it never got ready, or is not any more
	CauseStart      CauseKind = "start"      // it could not be started
	CauseDependency CauseKind = "dependency" // a dependency failed
	CauseRuntime    CauseKind = "runtime"    // the runtime died with it
	CauseAsleep     CauseKind = "asleep"     // it starts when it is called
	CauseDown       CauseKind = "down"       // nobody has asked for it
)
