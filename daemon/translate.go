package daemon

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// buildSuffix marks the generation that builds a service: "web:build".
const buildSuffix = ":build"

func runtimeID(id supervisor.ID) runtime.ID {
	return runtime.ID{Environment: id.Environment, Project: id.Project, Service: id.Service, Number: id.Number}
}

func supervisorID(id runtime.ID) supervisor.ID {
	return supervisor.ID{Name: supervisor.Name{Environment: id.Environment, Project: id.Project, Service: id.Service}, Number: id.Number}
}

var reportedPhases = map[runtime.GenerationPhase]supervisor.ReportedPhase{
	runtime.GenerationRunning:   supervisor.ReportedRunning,
	runtime.GenerationBackoff:   supervisor.ReportedBackoff,
	runtime.GenerationStopping:  supervisor.ReportedStopping,
	runtime.GenerationStopped:   supervisor.ReportedStopped,
	runtime.GenerationCompleted: supervisor.ReportedCompleted,
	runtime.GenerationFailed:    supervisor.ReportedFailed,
}

// translate turns what the runtime reports into what the supervisor knows.
func (d *Daemon) translate(dr *draft, e runtime.Event) {
	known := e.Sequence <= dr.noted.Sequence // and told to the user already
	dr.advance(e)
	if service, ok := strings.CutSuffix(e.ID.Service, buildSuffix); ok && e.Kind != runtime.SyncedEvent {
		e.ID.Service = service
		d.translateBuild(dr, e)
		return
	}
	id := supervisorID(e.ID)
	switch e.Kind {
	case runtime.SyncedEvent:
		dr.events = append(dr.events, supervisor.Synced{})
	case runtime.GenerationEvent:
		dr.events = append(dr.events, supervisor.Reported{
			ID: id, Revision: d.revision(dr, e.ID, e.Generation.Hash), Phase: reportedPhases[e.Generation.Phase],
			Restarts: e.Generation.Restarts, Until: e.Generation.Until, Reason: e.Generation.Reason, Lost: e.Generation.Lost, Time: e.Time,
		})
	case runtime.StartedEvent:
		dr.events = append(dr.events, supervisor.InstanceStarted{
			ID: id, Replica: e.Instance.Replica, Attempt: e.Instance.Attempt, PID: e.Started.PID, Endpoints: e.Started.Endpoints, Time: e.Time,
		})
	case runtime.ReadyEvent:
		dr.events = append(dr.events, supervisor.InstanceReady{
			ID: id, Replica: e.Instance.Replica, Attempt: e.Instance.Attempt, Ready: e.Ready.Ready, Detail: e.Ready.Detail, Time: e.Time,
		})
	case runtime.ExitedEvent:
		text := exitText(*e.Exit)
		dr.events = append(dr.events, supervisor.InstanceExited{
			ID: id, Replica: e.Instance.Replica, Attempt: e.Instance.Attempt, Text: text, Success: e.Exit.Success(),
			Memory: e.Exit.OOM, Time: e.Time,
		})
		exit := Event{Project: id.Project, Service: id.Service, Generation: id.Number, Instance: instanceLabel(e.Instance), Kind: EventExit, Text: text}
		if !known && !dr.told[exit.exitKey()] {
			dr.note(exit)
		}
		if !known && d.died(id, *e.Exit) {
			dr.deaths = append(dr.deaths, exited{id, exit.Instance, e.Exit.Ready})
		}
	case runtime.SummaryEvent:
		if known {
			return
		}
		dr.note(Event{
			Project: id.Project, Service: id.Service, Generation: id.Number, Kind: EventExit,
			Text: fmt.Sprintf("ended %d times more, while nobody was there to note each", e.Summary),
		})
	}
}

// translateBuild makes the end of a build known. Why a build failed is looked
// up in its output, which is why that comes a moment later.
func (d *Daemon) translateBuild(dr *draft, e runtime.Event) {
	if e.Kind != runtime.GenerationEvent {
		return
	}
	id := supervisorID(e.ID)
	switch e.Generation.Phase {
	case runtime.GenerationCompleted:
		for _, id := range d.builds.wanting(id) {
			dr.events = append(dr.events, supervisor.Built{ID: id, OK: true})
		}
		dr.over = append(dr.over, id)
	case runtime.GenerationFailed, runtime.GenerationStopped:
		dr.failed = append(dr.failed, id)
	default:
		d.builds.runs(id, cmp.Or(e.Time, dr.now))
	}
}

// revision finds the plan's revision for the hash of a spec that the runtime
// was given: by the generation, or by what the project has now.
func (d *Daemon) revision(dr *draft, id runtime.ID, hash string) string {
	if s, ok := d.state.Services[supervisorID(id).Name]; ok {
		for _, g := range s.Generations {
			if g.Number == id.Number {
				return g.Plan.Revision
			}
		}
	}
	if service, ok := dr.projects[id.Project].Services[id.Service]; ok && service.Spec.Hash() == hash {
		return service.Plan.Revision
	}
	return hash
}

// died reports whether an instance ended by itself, and not well.
func (d *Daemon) died(id supervisor.ID, e runtime.Exit) bool {
	g := generation(d.state, id)
	if g == nil || e.Success() || e.Lost || id.Name == gatewayName {
		return false
	}
	return g.Phase != supervisor.PhaseStopping && g.Phase != supervisor.PhaseStopped && g.Phase != supervisor.PhaseDraining
}

func instanceLabel(i runtime.InstanceID) string {
	return strconv.FormatUint(i.ID.Number, 10) + "/" + strconv.Itoa(i.Replica) + "/" + strconv.Itoa(i.Attempt)
}

// exitText says in words how an instance ended.
func exitText(e runtime.Exit) string {
	var text string
	switch {
	case e.Lost:
		text = "ended with the runtime; how is not known"
	case e.Error != "":
		text = e.Error
	case e.OOM:
		text = "killed by the kernel: out of memory"
	case e.Signal != "" && e.Core:
		text = "killed by " + e.Signal + ", core dumped"
	case e.Signal != "":
		text = "killed by " + e.Signal
	default:
		text = "exit code " + strconv.Itoa(e.Code)
	}
	switch {
	case e.Leftovers == 1:
		text += "; 1 process that it left behind was killed"
	case e.Leftovers > 1:
		text += fmt.Sprintf("; %d processes that it left behind were killed", e.Leftovers)
	}
	return text
}
