package daemon

import (
	"context"
	"fmt"
	"maps"

	"github.com/stead-dev/stead/supervisor"
)

// Restart commits that services are to get a new generation. Their env files
// are read again; the manifest is the one that was last applied.
func (d *Daemon) Restart(ctx context.Context, which []supervisor.Name) error {
	release, err := d.alone(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := d.lead(ctx, false); err != nil {
		return err
	}
	fresh, err := d.reread(ctx, which)
	if err != nil {
		return err
	}
	return d.submit(ctx, func(dr *draft) error {
		for _, p := range fresh {
			dr.setProject(p)
			dr.events = append(dr.events, supervisor.Applied{Environment: d.environment, Project: p.ID, Plans: plans(p)})
		}
		dr.events = append(dr.events, supervisor.Restarted{Names: which})
		dr.noteRequest("restart", which)
		return nil
	})
}

// reread returns the projects of which a service is another than when it was
// applied, since an env file differs. Only the services that are named are
// replaced: others keep what they run with.
func (d *Daemon) reread(ctx context.Context, which []supervisor.Name) ([]Project, error) {
	byProject := map[string][]string{}
	for _, n := range which {
		byProject[n.Project] = append(byProject[n.Project], n.Service)
	}
	var fresh []Project
	for id, services := range byProject {
		p, ok := d.Present().Projects[id]
		if !ok || len(p.Sources) == 0 { // applied by a daemon that did not keep them
			continue
		}
		loaded, err := d.load(ctx, LoadRequest{
			File: p.File, Sources: p.Sources, Environment: p.Environment, Remote: p.Remote, AutoPort: d.ports.auto, Taken: d.taken(), Gateway: d.gateways != nil,
		})
		if err != nil {
			return nil, fmt.Errorf("read the env files of %s again: %w", p.Shown, err)
		}
		if p, differs := replaced(p, loaded.Project, services); differs {
			fresh = append(fresh, p)
		}
	}
	return fresh, nil
}

// replaced returns a project with some services as another reading has them.
func replaced(p, again Project, services []string) (Project, bool) {
	differs := false
	all := maps.Clone(p.Services)
	for _, name := range services {
		now, ok := again.Services[name]
		if !ok || all[name].Plan.Revision == now.Plan.Revision {
			continue
		}
		all[name], differs = now, true
	}
	p.Services = all
	return p, differs
}
