package supervisor

import "time"

// A Command is something to be done. Commands on one service are carried out
// in the order given, those on different services in any order. Every command
// is idempotent: after Synced those that still hold are given again.
type Command interface{ command() }

// Build asks for the build of a generation; the answer is Built.
type Build struct{ ID ID }

// Cancel ends a build that is no longer wanted; a Built may still come.
type Cancel struct{ ID ID }

// Start asks the runtime for a generation. Trial: no restarts before its
// first ready.
type Start struct {
	ID    ID
	Trial bool
}

// Route sends the service's traffic to a generation.
type Route struct{ ID ID }

// Hold makes the service's traffic wait until the next Route.
type Hold struct{ Name Name }

// Unroute ends the service's traffic: it is not up.
type Unroute struct{ Name Name }

// Drain stops new traffic to a generation of a Proxied service that was
// replaced or goes to sleep; it is followed by Stop when Limit has passed or
// nothing is in flight any more. What is not Proxied is stopped without it:
// nothing passes us then, and a runtime that routes (Kubernetes) drains as
// part of its own Stop.
type Drain struct {
	ID    ID
	Limit time.Duration
}

// Stop ends a generation. Kill: at once, it never had traffic.
type Stop struct {
	ID   ID
	Kill bool
}

// Signal sends a signal to the processes of a generation, which reads anew
// what was saved. It is the one command that is not repeated after Synced: a
// daemon that dies between its commit and the signal owes it for ever.
type Signal struct {
	ID      ID
	Signal  string
	Trigger string // what was saved, in words
}

// Drop says that nothing needs to be remembered of a service any more.
type Drop struct{ Name Name }

func (Build) command()   {}
func (Cancel) command()  {}
func (Start) command()   {}
func (Route) command()   {}
func (Hold) command()    {}
func (Unroute) command() {}
func (Drain) command()   {}
func (Stop) command()    {}
func (Signal) command()  {}
func (Drop) command()    {}
