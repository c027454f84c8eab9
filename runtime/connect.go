package runtime

import "time"

// ConnectRequest asks for a connection to a port of a generation. The runtime
// picks an instance that is ready, another one for each connection if it can;
// while none is, the answer is Unavailable. A service, generation or port that
// is not known is NotFound.
type ConnectRequest struct {
	ID   ID     // Number 0: the one that is routed; where the runtime does not route, the newest that is ready
	Port string // its name
}

// A Conn carries the bytes of one connection, both ways at once. CloseWrite
// tells the other end that there is no more to come, as far as the way there
// can carry that; Close ends both directions, and what was written before it
// still goes out. Read and Write may be called concurrently with each other,
// and Close with everything. A reader that is slow makes the other end wait.
type Conn interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	CloseWrite() error
	Close() error
}

// Stat is what one instance has used. Counters only rise while it lives.
type Stat struct {
	Instance InstanceID
	Time     time.Time     // of the measurement
	CPU      time.Duration // of its whole tree since it was started
	Memory   int64         // bytes that it holds now: no page that it could do without at once
	Read     int64         // bytes from storage; -1: not known
	Written  int64         // bytes to storage; -1: not known
	PIDs     int           // processes; 0: not known
}
