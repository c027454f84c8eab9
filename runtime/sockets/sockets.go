// Package sockets passes listening sockets from the runtime that owns them to
// another process of the same user, as duplicates of their descriptors, over a
// Unix socket beside the runtime's own (SCM_RIGHTS, unix(7)).
//
// Serve is the runtime's half, Dial and Conn.Fetch are the half of whoever is
// to accept connections: the gateway. A duplicate is the same socket: both ends
// of the pair share its queue of connections, and it listens until the last
// duplicate is closed.
//
// The protocol is lines of JSON, each answered by one. A request names up to
// batch sockets; the answer names those that there are, in the order of the
// descriptors that come with its first byte:
//
//	{"fetch":["shop/web/http","shop/db/tcp"]}
//	{"files":["shop/web/http"]}
//
// The mode of the socket is 0600, and on both sides of it is the same user, or
// root: the server asks the kernel who is there.
//
// All methods may be called concurrently. Every goroutine ends before
// Server.Close returns; Conn has none.
package sockets

import (
	"github.com/stead-dev/stead/runtime"
)

// FileName is what the socket is called in the runtime's directory.
const FileName = "sockets.sock"

// batch is how many descriptors travel at once: SCM_MAX_FD of Linux
// (include/net/scm.h), which refuses a message with more.
const batch = 253

// lineLimit is for one line: a batch of names of 4 KiB each.
const lineLimit = 1 << 20

type request struct {
	Fetch []string `json:"fetch"`
}

type answer struct {
	Files []string `json:"files,omitempty"`
	Error string   `json:"error,omitempty"` // nothing was passed: why
}

// failure is an error of this package for the one who called.
type failure struct {
	doing string
	err   error
	class error
}

func (f *failure) Error() string   { return f.doing + ": " + f.err.Error() }
func (f *failure) Unwrap() []error { return []error{f.err, f.class} }

func unavailable(doing string, err error) error {
	return &failure{doing, err, runtime.Unavailable}
}
