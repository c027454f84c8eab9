// Package sockets passes listening sockets from the runtime that owns them to
// another process of the same user, as duplicates of their descriptors, over a
// Unix socket beside the runtime's own (SCM_RIGHTS, unix(7)).
//
// Serve is the half of whoever has the sockets, Dial and Conn are the half of
// whoever is to get them: the gateway, from the runtime. It goes the other way
// round when a runtime has died: its successor borrows from the processes that
// have duplicates still, which serve them as lenders. A duplicate is the same socket: both ends
// of the pair share its queue of connections, and it listens until the last
// duplicate is closed.
//
// The protocol is lines of JSON, each answered by one. A request names up to
// batch sockets; the answer names those that there are, in the order of the
// descriptors that come with its first byte:
//
//	{"fetch":["shop/web/http","shop/db/tcp"]}
//	{"files":["shop/web/http"]}
//	{"list":true}
//	{"names":["shop/web/http","shop/db/tcp"]}
//
// The mode of the socket is 0600, and on both sides of it is the same user, or
// root: the server asks the kernel who is there.
//
// All methods may be called concurrently. Every goroutine ends before
// Server.Close returns; Conn has none.
package sockets

import (
	"path/filepath"
	"strconv"

	"github.com/stead-dev/stead/runtime"
)

// FileName is what the socket is called in the runtime's directory.
const FileName = "sockets.sock"

// lenderPrefix is what the names of lenders' sockets begin with; a number
// follows, which FileName has not.
const lenderPrefix = "sockets."

// LenderPath is where a process serves the sockets that it has duplicates of,
// in the runtime's directory. No two that live have the same number.
func LenderPath(dir string, number uint64) string {
	return filepath.Join(dir, lenderPrefix+strconv.FormatUint(number, 10))
}

// Lenders returns the paths of lenders in a runtime's directory, also of those
// that have died since.
func Lenders(dir string) []string {
	paths, _ := filepath.Glob(filepath.Join(dir, lenderPrefix+"[0-9]*")) // fails for a bad pattern only
	return paths
}

// Source has the sockets that a Server hands out. It is called concurrently.
type Source interface {
	// Names returns what there is.
	Names() []string
	// Duplicate gives out a duplicate of the socket with that name, which the
	// server closes; false if there is none.
	Duplicate(name string) (fd int, ok bool)
}

// batch is how many descriptors travel at once: SCM_MAX_FD of Linux
// (include/net/scm.h), which refuses a message with more.
const batch = 253

// lineLimit is for one line: a batch of names of 4 KiB each.
const lineLimit = 1 << 20

type request struct {
	Fetch []string `json:"fetch,omitempty"`
	List  bool     `json:"list,omitempty"`
}

type answer struct {
	Files []string `json:"files,omitempty"`
	Names []string `json:"names,omitempty"`
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
