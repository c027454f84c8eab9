package daemon

import (
	"context"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// imageSuffix names the line of a service's images, beside that of its own
// commands.
const imageSuffix = ":image"

// waiting returns the generations that have begun to wait and lack nothing but
// what they wait for.
func waiting(old, now supervisor.Service) []supervisor.ID {
	var list []supervisor.ID
	for _, g := range now.Generations {
		if g.Phase != supervisor.PhasePending || g.Plan.Build && !g.Built {
			continue
		}
		did := false
		for _, was := range old.Generations {
			did = did || was.Number == g.Number && was.Phase == supervisor.PhasePending && was.Built == g.Built
		}
		if !did {
			list = append(list, supervisor.ID{Name: now.Name, Number: g.Number})
		}
	}
	return list
}

// packAhead has the image of a generation made and delivered while that waits.
// Whatever comes of it, the start does the same again, and is told why it
// cannot; but most often it finds it done.
func (d *Daemon) packAhead(ctx context.Context, id supervisor.ID) {
	spec, ok := d.specs[runtimeID(id)]
	l := d.link.Load()
	if !ok || spec.Package == nil || d.state.Observing || l == nil || !l.can(runtime.CapabilityPreview) {
		return
	}
	line := id.Name
	line.Service += imageSuffix
	d.work.addAfter(line, func() {
		ask := runtime.PreviewRequest{Environment: d.environment, Project: id.Project, Kind: runtime.PreviewImage, Specs: []runtime.Spec{spec}}
		if _, err := l.Preview(ctx, ask); err != nil {
			d.log.Debug("an image was not made ahead", "service", id.Service, "gen", id.Number, "err", err)
		}
	}, func() {})
}
