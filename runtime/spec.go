package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// Spec is everything a runtime needs to run one generation: immutable,
// complete, with every reference resolved. An empty slice or map means the same
// as none, and has the same hash: a wire does not tell them apart.
type Spec struct {
	ID ID

	// Log is the service whose log takes the output, when it is not
	// ID.Service: a build writes into the log of what it builds.
	Log string `json:",omitempty"`

	Command     []string          `json:",omitempty"` // argv; Command[0] is looked up in the PATH of the environment below, relative to Dir
	Dir         string            // absolute
	Environment map[string]string `json:",omitempty"` // declared variables
	Inherited   []string          // KEY=VALUE of the user's environment, below Environment; not part of the hash
	Terminal    bool              // run on a pty, to be attached to
	Replicas    int               // at least 1
	Ports       []Port            `json:",omitempty"`

	Ready        *Probe        // nil: ready as soon as it has been exec'd
	ReadyTimeout time.Duration // an instance not ready within it is killed and counts as failed; 0: no limit

	Restart  Restart
	Stop     Stop
	Snapshot bool // run from a copy of the executable made at Start

	// Trial runs the generation without restarts until its first Ready: it
	// is to replace one that serves, and must not be tried for ever. Not part
	// of the hash.
	Trial bool
}

// Port is a port that a service listens on.
type Port struct {
	Name     string // "http"; upper-cased in $PORT_HTTP
	Number   int    // 0: the runtime picks a private one per instance
	Protocol string // "http", "tcp"
}

// ProbeKind says how an instance is asked.
type ProbeKind string

// The kinds of Probe. A runtime refuses those it cannot do as Unsupported.
const (
	ProbeTCP  ProbeKind = "tcp"  // a connection is accepted
	ProbeHTTP ProbeKind = "http" // status 200 to 399
	ProbeExec ProbeKind = "exec" // exit code 0
)

// Probe asks an instance whether it is ready.
type Probe struct {
	Kind    ProbeKind
	Port    string        // name of a Port; tcp, http
	Path    string        // http; begins with /
	Command []string      `json:",omitempty"` // exec
	Timeout time.Duration // of one attempt; 0: 1 s
	// Interval between attempts while not ready; 0: 1 ms at first, growing to 250 ms.
	Interval time.Duration
}

// RestartPolicy says when an instance that ended is started again.
type RestartPolicy string

// The restart policies, with the Compose specification's meaning.
const (
	RestartNo        RestartPolicy = "no"
	RestartOnFailure RestartPolicy = "on-failure"
	RestartAlways    RestartPolicy = "always"
)

// Restart is the restart policy with its back-off. The delay before restart n
// in a row is Min * 2^(n-1), at most Max, plus up to 10 % jitter that is a
// hash of the instance ID. The first restart after at least 1 s of ready is
// immediate. More than Limit restarts within Window end the generation as
// failed; Limit 0 never does.
type Restart struct {
	Policy RestartPolicy
	Min    time.Duration
	Max    time.Duration
	Limit  int
	Window time.Duration
}

// Stop says how instances are ended: Signal to the process group, and after
// Grace, or as soon as the first process is gone, SIGKILL to whatever is left
// of the whole tree.
type Stop struct {
	Signal string        // "TERM"; with or without "SIG"
	Grace  time.Duration // 0: SIGKILL at once
}

// StopRequest is one call of Runtime.Stop.
type StopRequest struct {
	Drain bool          // wait until traffic that the runtime routes itself has left
	Grace time.Duration // when > 0, instead of Spec.Stop.Grace
	Kill  bool          // no signal, no grace: it never had traffic
}

// Hash returns the identity of what the spec runs: SHA-256, in hex, over all
// fields that are not said to be outside of it.
func (s Spec) Hash() string {
	s.ID, s.Inherited, s.Trial = ID{}, nil, false
	text, err := json.Marshal(s)
	if err != nil {
		panic("runtime: a Spec that JSON cannot carry: " + err.Error()) // cannot happen: strings, maps and numbers only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// PortVariable returns the variable that tells a service the number of a
// port: PORT_HTTP for "http". The first port is in PORT too.
func PortVariable(name string) string {
	return "PORT_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
}
