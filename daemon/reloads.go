package daemon

import (
	"time"

	"github.com/stead-dev/stead/supervisor"
)

// Reload is how the newest generation came to replace another one, or one that
// failed; or how it was told of a save.
type Reload struct {
	Generation uint64
	Trigger    string    // "cart/main.go changed"
	Began      time.Time // when it was decided
	Built      time.Time // zero: not yet, or there is no build
	Ended      time.Time // zero: under way
	Outcome    ReloadOutcome
	Cause      string // ReloadFailed: why; ReloadSignalled: "signal HUP"
}

// ReloadOutcome is how a Reload ended; empty while it has not.
type ReloadOutcome string

// The outcomes.
const (
	ReloadReady   ReloadOutcome = "ready" // or completed, what runs once
	ReloadFailed  ReloadOutcome = "failed"
	ReloadDropped ReloadOutcome = "dropped" // it is not wanted any more
	// ReloadSignalled: Generation was told to read anew, and goes on; what it
	// makes of that nobody knows.
	ReloadSignalled ReloadOutcome = "signalled"
)

// reloads reports whether a generation that is new replaces something: a first
// start, and one after a stop or a sleep, does not.
func reloads(old supervisor.Service, g supervisor.Generation) bool {
	return old.Want.Up && !old.Asleep && len(old.Generations) > 0 && g.Trigger != ""
}

// followReload notes in the draft how far the newest generation of a service
// has come. began is set when it is new in this turn, and replaces something.
func (d *Daemon) followReload(dr *draft, old, now supervisor.Service) {
	r, known := d.reloads[now.Name]
	for _, g := range now.Generations {
		if g.Number > old.Last && g.Number == now.Last {
			r, known = Reload{Generation: g.Number, Trigger: g.Trigger, Began: dr.now}, reloads(old, g)
		}
	}
	if !known {
		if _, had := d.reloads[now.Name]; had && now.Last > old.Last { // started anew
			dr.reloads[now.Name] = nil
		}
		return
	}
	before := r
	if r.Ended.IsZero() {
		r.advance(now, dr.now)
	}
	if r != before || r.Generation != d.reloads[now.Name].Generation {
		dr.reloads[now.Name] = &r
	}
}

// followSignals notes the saves that generations are told of by a signal.
func (dr *draft) followSignals(commands []supervisor.Command) {
	for _, c := range commands {
		s, is := c.(supervisor.Signal)
		if !is {
			continue
		}
		how := "signal " + s.Signal
		dr.note(Event{Project: s.ID.Project, Service: s.ID.Service, Generation: s.ID.Number, Kind: EventReload, Text: s.Trigger + ": " + how})
		dr.reloads[s.ID.Name] = &Reload{
			Generation: s.ID.Number, Trigger: s.Trigger, Began: dr.now, Ended: dr.now, Outcome: ReloadSignalled, Cause: how,
		}
	}
}

// advance takes in where the service stands.
func (r *Reload) advance(s supervisor.Service, now time.Time) {
	end := func(at time.Time, outcome ReloadOutcome) { r.Ended, r.Outcome = at, outcome }
	for _, g := range s.Generations {
		if g.Number != r.Generation {
			continue
		}
		if g.Plan.Build && g.Built && r.Built.IsZero() {
			r.Built = now
		}
		switch {
		case g.Phase == supervisor.PhaseReady, g.Phase == supervisor.PhaseCompleted:
			end(g.Since, ReloadReady)
		case g.WasReady:
			end(now, ReloadReady)
		case g.Phase == supervisor.PhaseFailed, g.Phase == supervisor.PhaseStopping && s.Rejected != "":
			end(now, ReloadFailed)
			r.Cause = g.Cause.Text
		case g.Phase == supervisor.PhaseStopping, g.Phase == supervisor.PhaseStopped:
			end(now, ReloadDropped)
		}
		return
	}
	end(now, ReloadDropped)
}
