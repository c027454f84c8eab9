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

	// Sockets are given to each instance as LISTEN_FDS, LISTEN_FDNAMES and
	// LISTEN_PID say (sd_listen_fds(3)), in this order. Each address must have
	// been declared by Listen and be bound: what was not is Unavailable. They
	// block, as systemd's do; a program that shares one with its successor is
	// well advised to make it not do so. A probe of their ports says nothing
	// of one instance: the kernel accepts, or another generation answers.
	Sockets []Socket `json:",omitempty"`

	Ready        *Probe        // nil: ready as soon as it has been exec'd
	ReadyTimeout time.Duration // an instance not ready within it is killed and counts as failed; 0: no limit

	// Live asks an instance, from its first Ready on, whether it still works.
	// One that fails Probe.Failures times in a row is killed, and its Exit has
	// an Error that says so; then Restart decides. nil: it is not asked.
	Live *Probe `json:",omitempty"`

	// SuccessCodes are exit codes, besides 0, that are as good as 0. One of
	// 128+N stands for an end by signal N too, as it does in a shell and in a
	// container, unless the runtime or want of memory caused that.
	SuccessCodes []int `json:",omitempty"`

	Limits   Limits `json:",omitzero"`
	Restart  Restart
	Stop     Stop
	Snapshot bool // run from a copy of the executable made at Start

	// Trial runs the generation without restarts until its first Ready: it
	// is to replace one that serves, and must not be tried for ever. Not part
	// of the hash.
	Trial bool

	// OneShot is done when its command has ended well: nobody reaches it, and
	// nothing takes its place. The process runtime needs no word on that.
	OneShot bool `json:",omitempty"`

	// Of the rest a runtime that cannot do it refuses a spec as Unsupported.

	// Image is what to run, as the runtime's registries know it. Empty where
	// there is a Package, and for a runtime of processes.
	Image string `json:",omitempty"`

	// Package says how what lies in Dir becomes an image. The runtime makes it
	// at Start, as another one makes its Snapshot: what was built later is of
	// no concern to this generation. nil: Image is all there is.
	Package *Package `json:",omitempty"`

	// Data are directories that outlive generations: name -> absolute path at
	// which the service finds it. No two generations use them at once.
	Data map[string]string `json:",omitempty"`

	// Secrets are names in Environment whose values are for nobody to read.
	Secrets []string `json:",omitempty"`

	Requests Limits `json:",omitzero"` // what is set aside for each instance; PIDs is not used

	// Patch is what the contract has no words for, as the runtime defines it:
	// for Kubernetes a JSON object of strategic-merge patches by kind,
	// {"Deployment": {…}, "Service": {…}}.
	Patch string `json:",omitempty"`
}

// Package is how files become an image: a layer of them upon a base. The same
// files give the same digest, whenever and wherever they are packed.
type Package struct {
	Base      string   // the image below; empty: nothing but CA certificates and a place for temporary files
	Files     []string // files and directories below Spec.Dir, relative to it; they keep their paths below Root
	Root      string   // absolute, where Dir is in the image, and what runs finds as its directory
	Platforms []string `json:",omitempty"` // "linux/arm64"; empty: what the environment's machines are
}

// Port is a port that a service listens on.
type Port struct {
	Name     string // "http"; upper-cased in $PORT_HTTP
	Number   int    // 0: the runtime picks a private one per instance
	Protocol string // "http", "tcp"

	// Published is the number by which a runtime that routes traffic itself
	// has callers reach the service. 0: Number, or one of the runtime's choice.
	Published int `json:",omitempty"`
}

// Limits are for the whole tree of one instance, what it runs beside it (an
// exec probe) included. 0 is no limit. A runtime that cannot keep one refuses
// the spec as Unsupported and says why; none is ever left out in silence.
type Limits struct {
	Memory   int64 // bytes, swap included; more of it ends the instance (Exit.OOM)
	MilliCPU int   // thousandths of a core
	PIDs     int   // processes and threads
}

// ProbeKind says how an instance is asked.
type ProbeKind string

// The kinds of Probe. A runtime refuses those it cannot do as Unsupported.
const (
	ProbeTCP    ProbeKind = "tcp"    // a connection is accepted
	ProbeHTTP   ProbeKind = "http"   // GET is answered by a status from 200 to 399; redirects are not followed
	ProbeGRPC   ProbeKind = "grpc"   // grpc.health.v1.Health/Check answers SERVING, over HTTP/2 without TLS
	ProbeExec   ProbeKind = "exec"   // exit code 0
	ProbeLog    ProbeKind = "log"    // a line of the output; Ready only
	ProbeNotify ProbeKind = "notify" // sd_notify(3): READY=1, or for Live a WATCHDOG=1 in each Interval
)

// Probe asks an instance whether it is ready, or whether it still works.
type Probe struct {
	Kind    ProbeKind
	Port    string        // name of a Port; tcp, http, grpc
	Path    string        // http; begins with /
	Service string        `json:",omitempty"` // grpc; empty: the server as a whole
	Text    string        `json:",omitempty"` // log: what a line contains, or /regexp/ (RE2) that it matches
	Command []string      `json:",omitempty"` // exec
	Timeout time.Duration // of one attempt; 0: 1 s; not for log and notify

	// Interval between attempts. Live: 0 is 10 s. Ready: 0 is 0.5 ms at first,
	// growing to 250 ms, and nobody asks again after the first success; with
	// an Interval tcp, http, grpc and exec go on being asked, and Ready{false}
	// is reported after Failures in a row, Ready{true} after one success.
	Interval time.Duration
	Failures int `json:",omitempty"` // in a row, that count; 0: 3
}

// Repeats reports whether readiness goes on being asked after the first
// success.
func (p *Probe) Repeats() bool {
	return p != nil && p.Interval > 0 && p.Kind != ProbeLog && p.Kind != ProbeNotify
}

// UsesPort reports whether the probe asks a port.
func (p *Probe) UsesPort() bool {
	return p != nil && (p.Kind == ProbeTCP || p.Kind == ProbeHTTP || p.Kind == ProbeGRPC)
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
// immediate. More than Limit restarts of one replica within Window end the
// generation as failed; Limit 0 never does. The restart that is due counts
// among them, at the time when it would happen: restarts that are further
// apart than Window/Limit go on for ever. A Window of 0 has no end.
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
