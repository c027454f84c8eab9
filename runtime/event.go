package runtime

import "time"

// An Event is one fact that a runtime reports by Watch.
//
// The present, sent first, is for every generation that the runtime knows:
// one GenerationEvent, then per live instance its Started and, when it is
// ready, Ready; and every exit that was not yet acknowledged. Then Synced.
// After that each change is sent as it happens. Per instance the order is
// Started, Ready any number of times, exactly one Exited; a start that failed
// is Exited alone. A GenerationEvent is sent before the first event of its
// instances and after every change of its fields.
//
// Sequence rises by one with each change. Events of the present that only describe
// what is (not an unacknowledged exit) have the sequence of the change that
// made it so.
type Event struct {
	Sequence uint64
	Time     time.Time
	Kind     EventKind
	ID       ID         // all kinds but Synced
	Instance InstanceID // Started, Ready, Exited

	Generation *GenerationStatus // GenerationEvent
	Started    *Started          // StartedEvent
	Ready      *Readiness        // ReadyEvent
	Exit       *Exit             // ExitedEvent
	Summary    int               // SummaryEvent: that many older exits are not kept one by one
}

// EventKind says which fields of an Event are set.
type EventKind int

// The kinds of Event.
const (
	GenerationEvent EventKind = iota + 1
	StartedEvent
	ReadyEvent
	ExitedEvent
	SummaryEvent
	SyncedEvent // the present is complete; Sequence is the newest
)

// GenerationPhase is where a generation stands as a whole.
type GenerationPhase int

// The phases of a generation. The last three are final: nothing of it runs
// any more, nor will.
const (
	GenerationRunning   GenerationPhase = iota + 1 // at least one instance runs or is about to
	GenerationBackoff                              // every replica that is not running waits to be started again
	GenerationStopping                             // Stop was called, something still runs
	GenerationStopped                              // Stop was called, nothing is left
	GenerationCompleted                            // every replica ended well and is not to be restarted
	GenerationFailed                               // gave up, or could not start at all
)

// Final reports whether a generation in phase p has ended for good.
func (p GenerationPhase) Final() bool { return p >= GenerationStopped }

// GenerationStatus is what a runtime says of a generation as a whole.
type GenerationStatus struct {
	Phase    GenerationPhase
	Hash     string    // Spec.Hash of what was started
	Handle   Handle    //
	Restarts int       // of all replicas since Start, also those no longer kept as events
	Until    time.Time // Backoff: when the next start happens
	Reason   string    // Failed: why, in words for the user
	Lost     bool      // Failed: the runtime itself died and took it along
}

// Started is a successful start of an instance.
type Started struct {
	PID       int
	Endpoints map[string]string // port name -> host:port where this instance is reached
}

// Readiness is the outcome of an instance's ready probe. It is reported again
// when Detail changes, but not more often than five times a second.
type Readiness struct {
	Ready  bool
	Detail string // what the probe saw last, when not ready; else what the instance says of itself (sd_notify STATUS=)
}

// Exit is the end of an instance.
type Exit struct {
	Code      int    // exit code; -1 when ended by a signal, never started, or lost
	Signal    string // "SIGKILL"; empty when it exited by itself
	Core      bool   // a core was dumped
	OOM       bool   // the kernel's out-of-memory killer ended it
	Error     string // the start failed, or the runtime ended it for its own fault: why, in words for the user
	Lost      bool   // the runtime died with it: how it ended is not known
	Leftovers int    // processes of its tree that had to be killed after it
	Ready     bool   // it was ready at some time
	Expected  bool   // Code, or 128 and the signal, is one of Spec.SuccessCodes
}

// Success reports whether the instance ended by itself with code 0, or as
// Spec.SuccessCodes allows.
func (e Exit) Success() bool {
	return (e.Code == 0 && e.Signal == "" || e.Expected) && e.Error == "" && !e.Lost
}
