package ipc

import (
	"context"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Backend is what the handlers need of the daemon. All methods may be called
// concurrently. Errors carry a class and maybe a hint (package runtime), or
// are runtime.Diagnostics.
type Backend interface {
	// Describe says who this daemon is, and how it is now.
	Describe(ctx context.Context) Description
	// Up reads a manifest, commits it, and wants its services up.
	Up(ctx context.Context, req UpRequest) (UpResult, error)
	// Check reads a manifest and changes nothing.
	Check(ctx context.Context, req UpRequest) (CheckResult, error)
	// Schema returns the JSON Schema of a manifest.
	Schema() string
	// Env returns the environment of a service.
	Env(ctx context.Context, name supervisor.Name, req EnvRequest) (EnvResult, error)
	// Want commits that the services are to be up or down.
	Want(ctx context.Context, names []supervisor.Name, up bool) error
	// Restart commits that the services are to get a new generation.
	Restart(ctx context.Context, names []supervisor.Name) error
	// Present returns the newest state, immutable.
	Present() *Present
	// Changed returns a channel that is closed when a Present newer than p is there.
	Changed(p *Present) <-chan struct{}
	// Events calls fn with what happened after sequence, in order, and with
	// follow goes on until ctx ends. A reader that is too slow gets an event
	// of kind "gap".
	Events(ctx context.Context, after uint64, follow bool, fn func([]Event) error) error
	// Logs is runtime.Runtime's.
	Logs(ctx context.Context, query runtime.LogQuery, fn func(runtime.LogBlock) error) error
	// Terminal is runtime.Runtime's.
	Terminal(ctx context.Context, req runtime.TerminalRequest) (runtime.Session, error)
	// Command returns the spec of a command to run in the environment of a
	// service (or, with Service empty, of the project), for Terminal.
	Command(ctx context.Context, name supervisor.Name, req CommandRequest) (runtime.Spec, error)
	// Stop ends the daemon, and with services everything it runs. It returns
	// how many services were stopped; the daemon exits after the answer.
	Stop(ctx context.Context, services bool) (int, error)
}

// Description is a daemon's identity.
type Description struct {
	Version string
	PID     int
	Home    string
	Socket  string
	Started time.Time
	Runtime *runtime.Description // nil while it cannot be reached

	Goroutines int // of the daemon, now
}

// Inspector is a Backend that can look at processes.
type Inspector interface {
	// Inspect says which instances of generations stand still. What cannot be
	// found out in a moment is left out.
	Inspect(ctx context.Context, ids []supervisor.ID) []runtime.Inspection
}

// Releaser is a Backend that knows the ports of services.
type Releaser interface {
	// AwaitReleased returns when the published ports of those services that are
	// down are free, when ctx ends, or after a bounded time.
	AwaitReleased(ctx context.Context, names []supervisor.Name)
}

// Router is a Backend whose services are reached through a gateway.
type Router interface {
	// AwaitRouted returns when what a Present says of who serves is in effect,
	// also should the daemon end at once; when ctx ends, or after a bounded time.
	AwaitRouted(ctx context.Context, sequence uint64)
}

// Proposer is a Backend that can say what a directory's manifest could be.
type Proposer interface {
	Propose(directory string) Proposal
}

// Proposal is a manifest that could be, with where it is from.
type Proposal struct {
	File  string // the manifest that there is, if any
	Text  string // empty: nothing was found
	Found []string
}

// Previewer is a Backend that knows of other environments.
type Previewer interface {
	// Preview says what would be done with a manifest; see daemon.Preview.
	Preview(ctx context.Context, req UpRequest, kind string) (PreviewResult, error)
	// Environments are those that a manifest describes.
	Environments(ctx context.Context, req UpRequest) ([]Environment, error)
}

// PreviewResult is what would be done, or was.
type PreviewResult struct {
	Objects  []runtime.Preview
	Built    []string // services whose build was run
	Warnings []runtime.Diagnostic
}

// Environment is where services of a project can run.
type Environment struct {
	Name       string
	Runtime    string
	Context    string
	Namespace  string
	Kubeconfig string
	Registry   string
	Watch      bool
	Agreed     bool // of the daemon's own: up needs no word of the user
}

// UpRequest names a manifest and what is wanted of it.
type UpRequest struct {
	Directory   string // absolute; the manifest is looked for in it and its parents
	File        string // absolute; instead of Directory
	Services    []string
	Profiles    []string
	Keep        bool
	Environment []string // KEY=VALUE of the caller
	Agreed      string   // the context that the user has agreed to
	TakeOver    bool     // also from another daemon that drives the environment
	Without     []string // services that run somewhere else: nothing of the rest may need them
	Remote      []Forwarded
}

// Forwarded is a port of a service that runs somewhere else. A service without
// ports has one with its name alone.
type Forwarded struct{ Service, Port, Address string }

// Forwarder is a Backend that holds ports for services somewhere else.
type Forwarder interface {
	// Forward returns where services are reached from this machine.
	Forward(ctx context.Context, names []supervisor.Name) ([]Forwarded, error)
}

// UpResult is what Up did.
type UpResult struct {
	Project  string // ID
	Name     string // shown to users
	Services []string
	Changed  []string
	Warnings []runtime.Diagnostic
}

// CheckResult is what Check found.
type CheckResult struct {
	File        string
	Name        string
	Services    []string // in start order
	Diagnostics []runtime.Diagnostic
}

// EnvRequest says how the environment of a service is wanted.
type EnvRequest struct {
	ShowSecrets bool
	Refresh     bool     // ask the login shell again
	Environment []string // KEY=VALUE of the caller, for Refresh
}

// EnvResult is the environment of a service.
type EnvResult struct {
	Project   Project
	Variables []EnvVariable // sorted by name
	Warnings  []runtime.Diagnostic
}

// EnvVariable is one variable with its origin.
type EnvVariable struct {
	Name   string
	Value  string // empty when Masked
	Origin string // file:line, or in words
	Masked bool   // it looks like a secret, and secrets were not asked for
}

// CommandRequest is a command to run beside a service.
type CommandRequest struct {
	Command     []string
	Terminal    bool
	Environment []string // project only: KEY=VALUE of the caller
	Directory   string   // project only; absolute
}

// Present is all that there is at one instant. Nothing in it changes.
type Present struct {
	Sequence uint64 // rises with each Present
	State    supervisor.State
	Projects map[string]Project               // by ID
	Specs    map[supervisor.Name]runtime.Spec // of the generation that the service shows; for directories, ports, terminals
	URLs     map[supervisor.Name][]string     // of services with published ports; others are reached by their endpoints
	Problem  string                           // why the state may be incomplete

	// Unreachable are services whose published port somebody else has.
	Unreachable map[supervisor.Name]supervisor.Cause
	// Diagnostics of services that have any: of the last build, or of the way
	// the service died. A service's list is replaced, never changed in place.
	Diagnostics map[supervisor.Name][]runtime.Diagnostic
	// Reloads are the last ones of services that had any, by this daemon.
	Reloads map[supervisor.Name]Reload
	// Notes are for the user, by the ID of a project: "stead.yaml changed: …".
	Notes map[string]string
}

// Reload is how a generation came to take the place of another one.
type Reload struct {
	Generation uint64
	Trigger    string
	Began      time.Time
	Built      time.Time // zero: not yet, or there is no build
	Ended      time.Time // zero: under way
	Outcome    string    // "ready", "failed", "dropped", "signalled"; empty: under way
	Cause      string
}

// Project is what users know a project by.
type Project struct {
	ID        string
	Name      string // unique among projects
	Directory string
	File      string
}

// Event is something that happened.
type Event struct {
	Sequence   uint64
	Time       time.Time
	Project    string // ID; empty: the daemon itself
	Service    string
	Generation uint64
	Instance   string // generation/replica/attempt
	Kind       EventKind
	Text       string
}

// EventKind is the class of an Event.
type EventKind string

// The kinds of Event.
const (
	EventRequest EventKind = "request" // the user asked for something
	EventPhase   EventKind = "phase"   // a service or generation reached a phase
	EventExit    EventKind = "exit"    // an instance ended
	EventReload  EventKind = "reload"  // why a generation takes the place of another one
	EventWatch   EventKind = "watch"   // of files: what is not watched, or waits
	EventDaemon  EventKind = "daemon"  // the daemon or its runtime
	EventGap     EventKind = "gap"     // events are missing here
)
