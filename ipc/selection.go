package ipc

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// localEnvironment is where services of a project run that has none yet.
const localEnvironment = "local"

// ownProject is what stead runs for itself: the gateway. It is chosen by name
// alone.
const ownProject = "stead"

// chosen is what a Selection means in one Present.
type chosen struct {
	project *Project          // nil: every project
	names   []supervisor.Name // sorted by shown project and service
	all     bool              // no services were named
}

// resolve finds what sel names in p.
func resolve(p *Present, sel *steadpb.Selection) (chosen, error) {
	project, err := findProject(p, sel)
	if err != nil {
		return chosen{}, err
	}
	var names []supervisor.Name
	for name := range p.State.Services {
		if project == nil && name.Project != ownProject || project != nil && name.Project == project.ID {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, byShownName(p))
	if len(sel.GetServices()) == 0 {
		return chosen{project, names, true}, nil
	}
	picked, err := pick(p, names, sel.GetServices())
	return chosen{project: project, names: picked}, err
}

// stillChosen is resolve for a selection that was good once. What has gone
// since is not named, and no error.
func stillChosen(p *Present, sel *steadpb.Selection) []supervisor.Name {
	all := &steadpb.Selection{Project: sel.GetProject(), Directory: sel.GetDirectory()}
	c, err := resolve(p, all)
	if err != nil {
		return nil
	}
	if len(sel.GetServices()) == 0 {
		return c.names
	}
	return slices.DeleteFunc(c.names, func(n supervisor.Name) bool { return !slices.Contains(sel.GetServices(), n.Service) })
}

// contains reports whether c means what is called service in project, which
// need not exist any more.
func (c chosen) contains(project, service string) bool {
	if c.all {
		return c.project == nil || c.project.ID == project
	}
	return slices.ContainsFunc(c.names, func(n supervisor.Name) bool { return n.Project == project && n.Service == service })
}

// projectID is empty when c means more than one project.
func (c chosen) projectID() string {
	if c.project != nil {
		return c.project.ID
	}
	for _, n := range c.names {
		if n.Project != c.names[0].Project {
			return ""
		}
	}
	if len(c.names) == 0 {
		return ""
	}
	return c.names[0].Project
}

// services are the names of the services alone, for answers.
func (c chosen) services() []string {
	out := make([]string, 0, len(c.names))
	for _, n := range c.names {
		out = append(out, n.Service)
	}
	return out
}

// one returns the single service that c names.
func (c chosen) one() (supervisor.Name, error) {
	if len(c.names) != 1 || c.all {
		return supervisor.Name{}, fmt.Errorf("request: selection.services: want one service, got %d: %w", len(c.names), runtime.Invalid)
	}
	return c.names[0], nil
}

// pick returns those of names that are called one of services. The order is
// that of names.
func pick(p *Present, names []supervisor.Name, services []string) ([]supervisor.Name, error) {
	var out []supervisor.Name
	for _, service := range slices.Compact(slices.Sorted(slices.Values(services))) {
		var found []supervisor.Name
		for _, n := range names {
			if n.Service == service {
				found = append(found, n)
			}
		}
		switch len(found) {
		case 0:
			return nil, unknownService(service, names)
		case 1:
			out = append(out, found[0])
		default:
			return nil, runtime.WithHint(
				fmt.Errorf("service %q is in several projects (%s, %s): %w", service,
					shownProject(p, found[0].Project), shownProject(p, found[1].Project), runtime.Invalid),
				"name the project too")
		}
	}
	slices.SortFunc(out, byShownName(p))
	return out, nil
}

func unknownService(service string, names []supervisor.Name) error {
	known := make([]string, 0, len(names))
	for _, n := range names {
		known = append(known, n.Service)
	}
	err := fmt.Errorf("no service %q%s: %w", service, didYouMean(service, known), runtime.NotFound)
	if len(known) == 0 {
		return runtime.WithHint(err, "the daemon knows no services here yet: `stead up` makes a manifest's services known")
	}
	return runtime.WithHint(err, "known services: "+list(known)+"; after a change of the manifest run `stead up`")
}

// findProject returns the project that sel names, nil when it names none.
func findProject(p *Present, sel *steadpb.Selection) (*Project, error) {
	switch {
	case sel.GetProject() != "":
		return namedProject(p, sel.GetProject())
	case sel.GetDirectory() != "":
		return nearestProject(p, filepath.Clean(sel.GetDirectory()))
	}
	return nil, nil
}

func namedProject(p *Present, name string) (*Project, error) {
	if project, ok := p.Projects[name]; ok {
		return &project, nil
	}
	known := make([]string, 0, len(p.Projects))
	for _, project := range p.Projects {
		if project.Name == name {
			return &project, nil
		}
		known = append(known, project.Name)
	}
	for n := range p.State.Services {
		if n.Project == name { // taken over after the state was lost: its manifest is not known
			return &Project{ID: name, Name: name}, nil
		}
	}
	return nil, noProject(fmt.Sprintf("no project %q%s", name, didYouMean(name, known)), known)
}

// nearestProject is the project of dir or of the closest parent that has one.
func nearestProject(p *Present, dir string) (*Project, error) {
	var best *Project
	known := make([]string, 0, len(p.Projects))
	for _, project := range p.Projects {
		known = append(known, project.Name)
		rel, err := filepath.Rel(project.Directory, dir)
		inside := err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
		if inside && (best == nil || len(project.Directory) > len(best.Directory)) {
			best = &project
		}
	}
	if best == nil {
		return nil, noProject("no project is known for "+dir, known)
	}
	return best, nil
}

func noProject(text string, known []string) error {
	err := fmt.Errorf("%s: %w", text, runtime.NotFound)
	if len(known) == 0 {
		return runtime.WithHint(err, "run `stead up` in the project's directory: it makes the project known")
	}
	return runtime.WithHint(err, "known projects: "+list(known)+"; `stead up` in a project's directory makes it known")
}

// byShownName orders by what users read, and then by what is unique.
func byShownName(p *Present) func(a, b supervisor.Name) int {
	return func(a, b supervisor.Name) int {
		return cmp.Or(
			cmp.Compare(shownProject(p, a.Project), shownProject(p, b.Project)),
			cmp.Compare(a.Service, b.Service),
			cmp.Compare(a.Project, b.Project),
			cmp.Compare(a.Environment, b.Environment))
	}
}

// shownProject is what users call the project with this ID.
func shownProject(p *Present, id string) string {
	if project, ok := p.Projects[id]; ok && project.Name != "" {
		return project.Name
	}
	return id
}
