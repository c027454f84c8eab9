package manifest

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// A need is one entry of depends_on.
type need struct {
	supervisor.Dependency            // Condition is empty when the manifest leaves it out
	at                    *yaml.Node // where the other one is named
}

var conditions = []string{
	string(supervisor.ConditionStarted), string(supervisor.ConditionHealthy), string(supervisor.ConditionCompleted),
}

func (s *draft) readNeeds() {
	f, ok := s.keys["depends_on"]
	if !ok {
		return
	}
	if f.value.Kind != yaml.MappingNode {
		s.needList(f.value)
		return
	}
	for _, one := range s.fields(f.value, "depends_on") {
		n := need{at: one.key, Dependency: supervisor.Dependency{Service: one.key.Value}}
		keys := s.known(one.value, "a dependency", []string{"condition", "restart"}, nil)
		if f, ok := keys["condition"]; ok {
			n.Condition = s.condition(f.value)
		}
		if f, ok := keys["restart"]; ok {
			n.Restart = s.boolean(f)
		}
		s.needs = append(s.needs, n)
	}
}

func (s *draft) needList(list *yaml.Node) {
	here := map[string]bool{}
	nodes := []*yaml.Node{list}
	if list.Kind == yaml.SequenceNode {
		nodes = s.items(list)
	}
	for _, one := range nodes {
		name, ok := s.value(one, "depends_on")
		if !ok {
			continue
		}
		if here[name] {
			s.wrong(one, "remove one of them", "%q is here twice", name)
			continue
		}
		here[name] = true
		s.needs = append(s.needs, need{at: one, Dependency: supervisor.Dependency{Service: name}})
	}
}

func (s *draft) condition(n *yaml.Node) supervisor.Condition {
	text, ok := s.value(n, "condition")
	if ok && !slices.Contains(conditions, text) {
		if slices.Contains(conditions, "service_"+text) {
			s.wrong(n, "write service_"+text, "condition %q is not known", text)
		} else {
			s.wrong(n, suggest(text, conditions), "condition %q is not known", text)
		}
	}
	return supervisor.Condition(text)
}

// relate checks what services say of each other, and decides which are
// one-shots: those with restart no and without ports, and those that another
// service needs as completed. The latter are not restarted after a failure
// unless the manifest says so itself.
func (d *document) relate(all drafts) {
	for _, s := range all.list {
		d.service = s.name
		s.needs = slices.DeleteFunc(s.needs, func(n need) bool {
			other := all.byName[n.Service]
			if other == nil {
				hint := ""
				if !d.enough() {
					hint = suggest(n.Service, all.names)
				}
				d.wrong(n.at, hint, "%q depends on %q, which is not a service here", s.name, n.Service)
				return true
			}
			if n.Condition == supervisor.ConditionCompleted {
				d.completes(n, other)
			}
			return false
		})
	}
	for _, s := range all.list {
		if s.spec.Restart.Policy == runtime.RestartNo && len(s.ports) == 0 {
			s.plan.OneShot = true
		}
		if d.service = s.name; s.plan.OneShot {
			s.settleOneShot()
		}
	}
	d.service = ""
	if d.target == nil {
		d.portClashes(all)
	}
}

// completes makes a one-shot of a service that is needed as completed.
func (d *document) completes(n need, other *draft) {
	_, declared := other.keys["restart"]
	switch {
	case len(other.ports) > 0:
		d.wrong(n.at, "use service_healthy, or remove its ports", "%q has ports, so it does not complete", other.name)
		return
	case declared && other.spec.Restart.Policy == runtime.RestartAlways:
		d.wrong(n.at, "use service_started, or give it restart: no", "%q has restart always, so it does not complete", other.name)
		return
	case !declared:
		other.spec.Restart.Policy = runtime.RestartNo
	}
	other.plan.OneShot = true
}

// resolveNeeds fills in the conditions that were left out: the most that the
// other service can show.
func (s *draft) resolveNeeds(all drafts) {
	for _, n := range s.needs {
		if s.remote[n.Service] != nil {
			continue // it is there, or is being seen to where it is
		}
		other := all.byName[n.Service]
		switch {
		case n.Condition != "":
		case other.plan.OneShot:
			n.Condition = supervisor.ConditionCompleted
		case other.spec.Ready != nil:
			n.Condition = supervisor.ConditionHealthy
		default:
			n.Condition = supervisor.ConditionStarted
		}
		s.plan.DependsOn = append(s.plan.DependsOn, n.Dependency)
	}
}

// maxCycles is how many cycles are reported: each is shown whole, and may go
// through every service there is.
const maxCycles = 10

// order returns all services, each after those it depends on and otherwise as
// written. It reports every cycle it meets, whole.
func (d *document) order(all drafts) []string {
	var out []string
	var path []need // from a service that is being visited to the next
	cycles := 0
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(s *draft)
	visit = func(s *draft) {
		state[s.name] = visiting
		for _, n := range s.needs {
			path = append(path, n)
			switch state[n.Service] {
			case 0:
				visit(all.byName[n.Service])
			case visiting:
				if cycles++; cycles <= maxCycles {
					d.cycle(path)
				}
			}
			path = path[:len(path)-1]
		}
		state[s.name] = done
		out = append(out, s.name)
	}
	for _, s := range all.list {
		if state[s.name] == 0 {
			visit(s)
		}
	}
	return out
}

// cycle reports the cycle that the last step of path closes.
func (d *document) cycle(path []need) {
	last := path[len(path)-1]
	start := 0
	for i, n := range path[:len(path)-1] {
		if n.Service == last.Service {
			start = i + 1
		}
	}
	names, places := []string{last.Service}, []string{}
	for _, n := range path[start:] {
		places = append(places, fmt.Sprintf("%s needs %s at %s", names[len(names)-1], n.Service, d.place(n.at)))
		names = append(names, n.Service)
	}
	d.service = last.Service
	d.wrong(path[start].at, strings.Join(places, ", ")+": remove one of them", "services wait for each other: %s", strings.Join(names, " -> "))
	d.service = ""
}
