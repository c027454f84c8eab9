package daemon

import (
	"maps"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Present is everything there is at one instant. Nothing in it changes.
type Present struct {
	Sequence uint64
	State    supervisor.State
	Projects map[string]Project
	Specs    map[runtime.ID]runtime.Spec
	Problem  string
	Applied  uint64 // raised whenever Projects is another
	Opened   uint64 // the Applied whose ports the runtime has been asked for
	// Unreachable are services whose published port somebody else has.
	Unreachable map[supervisor.Name]supervisor.Cause
	// Diagnostics are what is wrong with the source of services: with the last
	// build, or where the last instance died.
	Diagnostics map[supervisor.Name][]runtime.Diagnostic
	Reloads     map[supervisor.Name]Reload // the last one of each service that had one
	Notes       map[string]string          // by project: that its manifest is another one than was applied

	newer chan struct{} // closed when the next Present is there
}

// Newer returns a channel that is closed when a newer Present is there.
func (p *Present) Newer() <-chan struct{} { return p.newer }

// Present returns the newest Present.
func (d *Daemon) Present() *Present { return d.present.Load() }

// publish makes the loop's state readable. Maps that the loop changes in
// place are never shared: projects and specs are cloned on change instead.
func (d *Daemon) publish() {
	old := d.present.Load()
	p := &Present{
		State: d.state, Projects: d.projects, Specs: d.specs, Applied: d.applied, Opened: d.opened,
		Unreachable: d.unreachable, Diagnostics: d.diagnostics, Reloads: d.reloads, Notes: d.notes, newer: make(chan struct{}),
	}
	switch {
	case d.broken != "":
		p.Problem = "the state cannot be written: " + d.broken
	case d.trouble != "":
		p.Problem = d.trouble
	case d.lost != "":
		p.Problem = "the runtime cannot be reached: " + d.lost
	case gatewayTrouble(d.state) != "":
		p.Problem = "published ports are not served: the gateway " + gatewayTrouble(d.state)
	case d.driver != nil && !d.driver.Self:
		p.Problem = observing(*d.driver, d.environment)
	default:
		p.Problem = d.problem
	}
	if old != nil {
		p.Sequence = old.Sequence + 1
	}
	d.present.Store(p)
	if old != nil {
		close(old.newer)
	}
}

func with[K comparable, V any](m map[K]V, changes map[K]*V) map[K]V {
	if len(changes) == 0 {
		return m
	}
	m = maps.Clone(m)
	for k, v := range changes {
		if v == nil {
			delete(m, k)
		} else {
			m[k] = *v
		}
	}
	return m
}
