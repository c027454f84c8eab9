package daemon

import (
	"slices"
	"strconv"

	"github.com/stead-dev/stead/supervisor"
)

// transitions notes what changed between two states of a service, in words.
func (dr *draft) transitions(old, now supervisor.Service) {
	before := map[uint64]supervisor.Generation{}
	for _, g := range old.Generations {
		before[g.Number] = g
	}
	for _, g := range slices.Backward(now.Generations) { // a newer one that is ready is why an older one is stopped
		was, known := before[g.Number]
		if known && was.Phase == g.Phase {
			continue
		}
		if !known && reloads(old, g) {
			dr.note(Event{Project: now.Name.Project, Service: now.Name.Service, Generation: g.Number, Kind: EventReload, Text: g.Trigger})
		}
		dr.note(Event{
			Project: now.Name.Project, Service: now.Name.Service, Generation: g.Number,
			Kind: EventPhase, Text: withCause(string(g.Phase), g.Cause),
		})
	}
	if now.Asleep && !old.Asleep && len(old.Generations) > 0 {
		dr.note(Event{Project: now.Name.Project, Service: now.Name.Service, Kind: EventPhase, Text: "sleeps, as nobody uses it"})
	}
	if now.Rejected != old.Rejected && now.Rejected != "" {
		text := "rejected"
		if now.Routed != 0 {
			text = "rejected; generation " + strconv.FormatUint(now.Routed, 10) + " goes on serving"
		}
		dr.note(Event{Project: now.Name.Project, Service: now.Name.Service, Kind: EventPhase, Text: withCause(text, now.Cause)})
	}
}

func withCause(text string, c supervisor.Cause) string {
	if c.Text == "" {
		return text
	}
	return text + ": " + c.Text
}

// note makes a transition known that no turn made.
func (d *Daemon) note(e Event) {
	events := d.journal.number([]Event{e})
	d.journal.publish(events)
	d.unsaved.Events = append(d.unsaved.Events, events...)
}
