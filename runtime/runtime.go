// Package runtime is the contract between the daemon and whatever keeps
// services running: child processes at home, pods in a cluster.
//
// The unit of the contract is the generation, not the process. A runtime
// keeps the replicas of each generation alive by its restart policy, probes
// them and reports, also while no daemon is there to listen. The daemon says
// which generations there are to be, and learns everything else from Watch.
//
// All methods of a Runtime may be called concurrently. Errors have one of the
// classes in errors.go; anything else is Internal.
package runtime

import (
	"context"
	"time"
)

// ContractVersion is the version of this contract that the package speaks. A
// runtime serves it and the one before it; Describe refuses others.
const ContractVersion = 1

// Runtime keeps generations running.
type Runtime interface {
	// Describe says who this is. It is the first call on every connection;
	// version is the caller's ContractVersion. A version that the runtime does
	// not speak is Unsupported. The nonce in the answer is the one the runtime
	// chose when it started, so a caller can tell that it reached the very
	// process it read about.
	Describe(ctx context.Context, version int) (Description, error)

	// Start makes the generation run and returns as soon as that is
	// accepted; the outcome comes by Watch. It is idempotent by Spec.ID and
	// Spec.Hash: the same pair again returns the same handle, a known ID with
	// another hash is Conflict. A spec that can never run is Invalid, one
	// that asks for what this runtime cannot give is Unsupported.
	Start(ctx context.Context, spec Spec) (Handle, error)

	// Stop ends the generation and returns at once; the truth comes by Watch.
	// A generation that is stopping already takes the shorter of both limits.
	// An unknown ID is NotFound.
	Stop(ctx context.Context, id ID, how StopRequest) error

	// Route names the generation that gets the traffic which does not pass
	// stead's gateway. The process runtime has none and does nothing.
	Route(ctx context.Context, id ID) error

	// Listen declares all sockets that are wanted from now on: new ones are
	// bound, those that are not named are closed as soon as no generation
	// that has not ended was given them by Spec.Sockets, and the rest stays
	// the very same, whatever was declared before and by whom. From then on no
	// number of theirs is given out as a private port; a socket whose number
	// was before is refused until that one is forgotten. The answer has
	// one status for each of sockets, in their order; what cannot be bound is
	// tried again by the next Listen and not before.
	Listen(ctx context.Context, sockets []Socket) ([]SocketStatus, error)

	// Signal sends a signal ("HUP", "SIGHUP") to the first process of each
	// live instance. An unknown ID is NotFound, a generation of which nothing
	// runs now is Unavailable, a name that means no signal is Invalid.
	Signal(ctx context.Context, id ID, signal string) error

	// Inspect looks at the live instances of the generations. Those that are
	// not known, or have none, are left out.
	Inspect(ctx context.Context, ids []ID) ([]Inspection, error)

	// Watch calls fn with the full present (see event.go), then one Synced,
	// then every change, until ctx ends or fn fails; it returns that error.
	// Calls of one Watch never overlap. Delivery is at least once: what was
	// not acknowledged by Forget is part of every later present.
	Watch(ctx context.Context, fn func(Event) error) error

	// Forget acknowledges every event up to sequence. The runtime may then
	// drop exits and generations that have ended by that event.
	Forget(ctx context.Context, sequence uint64) error

	// Logs calls fn with the blocks that match query, in the order written,
	// and with Follow goes on until ctx ends. A service nobody has heard of
	// is NotFound; one that has written nothing is empty.
	Logs(ctx context.Context, query LogQuery, fn func(LogBlock) error) error

	// Terminal attaches to a running instance that has a terminal, or runs a
	// command beside a service (see terminal.go).
	Terminal(ctx context.Context, req TerminalRequest) (Session, error)

	// Connect opens a connection to a port of a generation (see connect.go). It
	// lasts until it is closed, and not longer than ctx.
	Connect(ctx context.Context, req ConnectRequest) (Conn, error)

	// Stats calls fn with what all live instances have used, at once and then
	// about once per interval, until ctx ends or fn fails; it returns that
	// error. Nothing is measured while nobody asks. A runtime may call less
	// often than interval says: at most ten times a second, and no more often
	// than it learns something new.
	Stats(ctx context.Context, interval time.Duration, fn func([]Stat) error) error

	// Preview says what the runtime would do (see preview.go).
	Preview(ctx context.Context, req PreviewRequest) ([]Preview, error)

	// Shutdown stops every generation within the limit of its own Stop, and
	// then ends the runtime itself. It returns when all processes are gone.
	Shutdown(ctx context.Context) error
}

// Description is a runtime's answer to Describe.
type Description struct {
	Name         string   // "process", "kubernetes"
	Version      int      // the contract version that will be spoken
	Build        string   // build identity of the binary
	PID          int      // 0 where there is no process to name
	Nonce        string   // chosen by the runtime at its start
	Capabilities []string // names from the list below
	Goroutines   int      // now, to see a leak by; 0 where there is nothing to count
	Driver       *Driver  // nil where nobody else could be, or it is not known yet
	Trouble      string   // what is wrong now with what it runs on, since when, and what to do; empty: nothing. See CapabilityTrouble
}

// Capabilities that a runtime may have.
const (
	CapabilityTrouble  = "trouble"  // Describe tells of it, at once: worth to be asked again and again
	CapabilityTerminal = "terminal" // attach and exec
	CapabilityCgroup   = "cgroup"   // whole trees are ended by cgroup.kill
	CapabilitySockets  = "sockets"  // Listen, Spec.Sockets and Signal
	CapabilityReserve  = "reserve"  // Socket.Reserve
	CapabilityInspect  = "inspect"  // Inspect knows whether an instance is halted
	CapabilityConnect  = "connect"  // Connect
	CapabilityStats    = "stats"    // Stats
	CapabilityPreview  = "preview"  // Preview
	CapabilityRoute    = "route"    // it routes traffic itself: without it Route does nothing, and need not be called
)

// Handle is what a runtime needs to find a generation again. It is stored and
// handed back, never read, by the daemon.
type Handle struct {
	Version int
	Data    []byte
}
