package daemon

import (
	"context"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// A message is what the loop is told. Exactly one field is set.
type message struct {
	request *request
	report  *runtime.Event   // by the runtime
	event   supervisor.Event // Built, Refused, and the like, by workers
	link    *linkChange      // the runtime came or went
	gateway *gatewayMessage  // a gateway has something to say
	ports   *portsChange     // which published ports can be had
	note    *Event           // for the user
	trouble *string          // with what the runtime runs on; empty: none any more
	// diagnosed is what output says is wrong in source.
	diagnosed *diagnosed
	unbuilt   *unbuilt
	edited    *edited
}

// linkChange tells that the runtime was attached (err nil) or lost.
type linkChange struct {
	attached bool
	nonce    string          // of the runtime that is attached
	driver   *runtime.Driver // who may change what it runs
	reason   string
}

// A request is the user's. It is answered once it is committed.
type request struct {
	prepare func(*draft) error // adds to the draft; an error refuses the request and changes nothing
	done    chan error         // of capacity 1
}

// submit hands a request to the loop and waits until it is committed.
func (d *Daemon) submit(ctx context.Context, prepare func(*draft) error) error {
	r := &request{prepare: prepare, done: make(chan error, 1)}
	select {
	case d.requests <- message{request: r}:
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ended:
		return errEnding
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ended:
		return errEnding
	}
}

var errEnding = runtime.WithHint(wrapClass("the daemon is ending", runtime.Unavailable), "try again: it is started anew")

// tell hands a fact to the loop; it blocks while the loop is behind, which is
// the back-pressure that keeps memory bounded.
func (d *Daemon) tell(ctx context.Context, m message) error {
	select {
	case d.facts <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
