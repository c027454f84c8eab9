// Package ipc is the daemon's API: handlers and a client for the service in
// steadpb, carried by Connect over a Unix socket, and the rules for where
// that socket and the daemon's other files are.
//
// The handlers hold no state of their own. They check a request, find what it
// names in Backend.Present, and translate; so everything here may be called
// concurrently, and the newest state is always what a reader gets. A reader
// that is too slow costs bounded memory: Watch skips states, Logs turns what
// it could not hold into a gap.
//
// Errors keep their class, hint and diagnostics (package runtime) on the way
// through the socket; see errors.go.
package ipc

// API is the number of this version of the API. It rises when a client must
// know about a change; fields and rpcs are only ever added.
const API = 1

// apiHeader carries API in both directions, so that either side can say
// which of the two is older.
const apiHeader = "Stead-Api"

// maxMessage bounds one message in each direction: a Status of a thousand
// services is under 1 MiB, so what is larger is no honest request.
const maxMessage = 16 << 20
