package supervisor

import "time"

// An Event is a fact, or a request by the user. The types of this file are
// all there are.
type Event interface{ event() }

// Applied gives the plans of a whole project: services that are new, changed,
// or (when missing) gone.
type Applied struct {
	Environment, Project string
	Plans                map[string]Plan // by service
}

// Wanted asks for services to be up or down. Up takes everything they depend
// on along. A service that was rejected or failed is tried again. Unknown
// names are ignored: the daemon has refused them before.
//
// A one-shot that has completed is run again when it is named, unless All is
// set: then the user did not pick the names, but asked for everything.
type Wanted struct {
	Names []Name
	Up    bool
	Keep  bool
	All   bool
}

// Restarted asks for a new generation of services, whatever they run now; one
// that is down or asleep comes up.
type Restarted struct{ Names []Name }

// Changed says that a file was saved which services are made of. Those that
// are up get it by their Plan.Reload, and what was rejected or has failed is
// tried again, as the save may be what mends it; those that are down or asleep
// take what is on disk when they start. With ReloadNone nothing happens, also
// not to one that failed: its files are declared to be none of our business.
type Changed struct {
	Names   []Name
	Trigger string // "cart/main.go changed"
}

// Woken says that callers of on-demand services wait. It may be said again
// for as long as they do.
type Woken struct{ Names []Name }

// Idled says that an on-demand service was not used for Plan.Idle. It is
// ignored while a generation is on its way, as nobody could use that yet; so
// it is to be said again while it holds.
type Idled struct{ Name Name }

// Built is the outcome of a Build command.
type Built struct {
	ID    ID
	OK    bool
	Cause Cause // when not OK
}

// Refused says that the runtime did not accept a Start command.
type Refused struct {
	ID    ID
	Cause Cause
}

// Attached begins the runtime's report of the present; until Synced the State
// is not complete. With Observe somebody else changes what runs there: all that
// was known and wanted is forgotten, and what is reported is taken note of;
// nothing is commanded until an Attached without it.
type Attached struct{ Observe bool }

// Synced ends the report of the present: what was not reported is gone.
type Synced struct{}

// Detached says that the runtime cannot be reached.
type Detached struct{}

// Reported is the runtime's word on a generation as a whole. One that the
// State does not know is adopted when its service is wanted and has no other
// generation, else it is stopped.
type Reported struct {
	ID       ID
	Revision string
	Phase    ReportedPhase
	Restarts int
	Until    time.Time
	Reason   string
	Lost     bool
	Time     time.Time // when it came to be so; zero: now
}

// ReportedPhase is a runtime's phase of a generation.
type ReportedPhase string

// The phases that a runtime reports; the last three are final.
const (
	ReportedRunning   ReportedPhase = "running"
	ReportedBackoff   ReportedPhase = "backoff"
	ReportedStopping  ReportedPhase = "stopping"
	ReportedStopped   ReportedPhase = "stopped"
	ReportedCompleted ReportedPhase = "completed"
	ReportedFailed    ReportedPhase = "failed"
)

// InstanceStarted, InstanceReady and InstanceExited are the runtime's words
// on one instance.
type InstanceStarted struct {
	ID        ID
	Replica   int
	Attempt   int
	PID       int
	Endpoints map[string]string
	Time      time.Time // zero: now
}

// InstanceReady says that an instance became ready, or is not any more.
type InstanceReady struct {
	ID      ID
	Replica int
	Attempt int
	Ready   bool
	Detail  string
	Time    time.Time // zero: now
}

// InstanceExited says that an instance ended.
type InstanceExited struct {
	ID      ID
	Replica int
	Attempt int
	Text    string // "exit code 3", "SIGKILL", "could not be started: …"
	Success bool
	Memory  bool      // the kernel ended it for want of memory
	Time    time.Time // zero: now
}

// Drained says that nothing is in flight to a draining generation any more.
type Drained struct{ ID ID }

// Ticked says that time has passed; see State.Wake.
type Ticked struct{}

func (Applied) event()         {}
func (Wanted) event()          {}
func (Restarted) event()       {}
func (Changed) event()         {}
func (Woken) event()           {}
func (Idled) event()           {}
func (Built) event()           {}
func (Refused) event()         {}
func (Attached) event()        {}
func (Synced) event()          {}
func (Detached) event()        {}
func (Reported) event()        {}
func (InstanceStarted) event() {}
func (InstanceReady) event()   {}
func (InstanceExited) event()  {}
func (Drained) event()         {}
func (Ticked) event()          {}
