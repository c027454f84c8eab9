package daemon

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Store remembers. Commit is all or nothing.
type Store interface {
	Commit(Batch) error
	// Events returns up to limit events after a sequence, oldest first.
	Events(after uint64, limit int) ([]Event, error)
}

// Batch is one commit. Nil maps change nothing; nil values delete.
type Batch struct {
	Boot     string
	Noted    Noted // zero: as it was
	Projects map[string]*Project
	Services map[supervisor.Name]*supervisor.Service
	Specs    map[runtime.ID]*runtime.Spec
	Ports    map[string]int // 0 deletes
	Events   []Event
}

func (b Batch) empty() bool {
	return len(b.Projects) == 0 && len(b.Services) == 0 && len(b.Specs) == 0 && len(b.Ports) == 0 && len(b.Events) == 0 && b.Boot == ""
}

// clone returns a batch that absorb may change without changing b.
func (b Batch) clone() Batch {
	b.Projects, b.Services, b.Specs, b.Ports = maps.Clone(b.Projects), maps.Clone(b.Services), maps.Clone(b.Specs), maps.Clone(b.Ports)
	b.Events = slices.Clone(b.Events)
	return b
}

// absorb makes b do what next does after what b does.
func (b *Batch) absorb(next Batch) {
	b.Boot, b.Noted = cmp.Or(next.Boot, b.Boot), cmp.Or(next.Noted, b.Noted)
	merge(&b.Projects, next.Projects)
	merge(&b.Services, next.Services)
	merge(&b.Specs, next.Specs)
	merge(&b.Ports, next.Ports)
	b.Events = append(b.Events, next.Events...)
}

func merge[K comparable, V any](into *map[K]V, from map[K]V) {
	if *into == nil {
		*into = make(map[K]V, len(from))
	}
	maps.Copy(*into, from)
}

// Restored is what a Store held when the daemon started.
type Restored struct {
	Boot      string
	Noted     Noted
	Projects  map[string]Project
	Services  []supervisor.Service
	Specs     map[runtime.ID]runtime.Spec
	Ports     map[string]int
	LastEvent uint64
}

// Event is a transition: something that happened and is kept for the user.
type Event struct {
	Sequence   uint64
	Time       time.Time
	Project    string // ID; empty: the daemon itself
	Service    string
	Generation uint64
	Instance   string // generation/replica/attempt
	Kind       string
	Text       string
}

// The kinds of Event.
const (
	EventRequest = "request"
	EventPhase   = "phase"
	EventExit    = "exit"
	EventReload  = "reload" // why a generation takes the place of another one
	EventDaemon  = "daemon"
	EventWatch   = "watch" // of files: what could not be watched, or waits
)
