package ipc

import (
	"fmt"
	"slices"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/supervisor"
)

func reloadView(r Reload) *steadpb.Reload {
	return &steadpb.Reload{
		Generation: r.Generation, Trigger: valid(r.Trigger), Began: timestamp(r.Began), Built: timestamp(r.Built),
		Ended: timestamp(r.Ended), Outcome: r.Outcome, Cause: valid(r.Cause),
	}
}

// notes are what there is to say of the projects of services.
func notes(p *Present, names []supervisor.Name) []string {
	if len(p.Notes) == 0 {
		return nil
	}
	var list []string
	for _, n := range names {
		if note, ok := p.Notes[n.Project]; ok && !slices.Contains(list, valid(note)) {
			list = append(list, valid(note))
		}
	}
	return list
}

// made says why the generations of a service were made that matter: the one
// that is shown, and one that is on its way, or was rejected.
func made(s supervisor.Service) []string {
	var lines []string
	tell := func(number uint64, trigger string) {
		if trigger != "" {
			lines = append(lines, fmt.Sprintf("generation %d was made because %s", number, because(trigger)))
		}
	}
	current, ok := s.Current()
	if !ok {
		return nil
	}
	tell(current.Number, current.Trigger)
	if s.Last > current.Number {
		tell(s.Last, s.Trigger)
	}
	return lines
}

// because makes the supervisor's shortest triggers clauses.
func because(trigger string) string {
	switch trigger {
	case "started", "asked for":
		return "it was " + trigger
	}
	return trigger
}
