package daemon

import (
	"cmp"
	"maps"
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
	Projects map[string]*Project
	Services map[supervisor.Name]*supervisor.Service
	Specs    map[runtime.ID]*runtime.Spec
	Ports    map[string]int // 0 deletes
	Events   []Event
}

func (b Batch) empty() bool {
	return len(b.Projects) == 0 && len(b.Services) == 0 && len(b.Specs) == 0 && len(b.Ports) == 0 && len(b.Events) == 0 && b.Boot == ""
}

// over returns a batch that does what b does after what before does.
func (b Batch) over(before Batch) Batch {
	return Batch{
		Boot:     cmp.Or(b.Boot, before.Boot),
		Projects: merged(before.Projects, b.Projects),
		Services: merged(before.Services, b.Services),
		Specs:    merged(before.Specs, b.Specs),
		Ports:    merged(before.Ports, b.Ports),
		Events:   append(before.Events[:len(before.Events):len(before.Events)], b.Events...),
	}
}

func merged[K comparable, V any](a, b map[K]V) map[K]V {
	if len(a) == 0 {
		return b
	}
	a = maps.Clone(a)
	maps.Copy(a, b)
	return a
}

// Restored is what a Store held when the daemon started.
type Restored struct {
	Boot      string
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
	EventDaemon  = "daemon"
)
