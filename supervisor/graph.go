package supervisor

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Cycle returns one whole dependency cycle among plans, its first name again
// as the last one, or nil. It begins with the smallest name it can be found
// from, so the same plans give the same answer.
func Cycle(plans map[string]Plan) []string {
	done := make(map[string]bool, len(plans))
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		if at := slices.Index(path, name); at >= 0 {
			return append(slices.Clone(path[at:]), name)
		}
		if done[name] {
			return nil
		}
		path = append(path, name)
		for _, need := range sortedNeeds(plans[name]) {
			if cycle := visit(need); cycle != nil {
				return cycle
			}
		}
		path = path[:len(path)-1]
		done[name] = true
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(plans)) {
		if cycle := visit(name); cycle != nil {
			return cycle
		}
	}
	return nil
}

// Order returns the names of plans, each after all that it depends on, and by
// name where that leaves a choice. Dependencies that are not in plans are
// ignored, as is the last edge of a cycle.
func Order(plans map[string]Plan) []string {
	level := make(map[string]int, len(plans))
	names := slices.Sorted(maps.Keys(plans))
	for _, name := range names {
		levelOf(name, level, func(name string) []string {
			return slices.DeleteFunc(sortedNeeds(plans[name]), func(need string) bool {
				_, ok := plans[need]
				return !ok
			})
		})
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(level[a], level[b]) })
	return names
}

func sortedNeeds(p Plan) []string {
	needs := make([]string, len(p.DependsOn))
	for i, d := range p.DependsOn {
		needs[i] = d.Service
	}
	slices.Sort(needs)
	return needs
}

// levelOf returns the length of the longest path from name along needs, and
// notes it and all others it meets in level. An edge that closes a cycle does
// not count, so that levels are finite for every graph.
func levelOf[K comparable](name K, level map[K]int, needs func(K) []K) int {
	const open = -1
	if l, ok := level[name]; ok {
		return max(l, 0) // open: the edge closes a cycle
	}
	level[name] = open
	highest := 0
	for _, need := range needs(name) {
		if level[need] == open && hasKey(level, need) {
			continue
		}
		highest = max(highest, levelOf(need, level, needs)+1)
	}
	level[name] = highest
	return highest
}

func hasKey[K comparable, V any](m map[K]V, k K) bool { _, ok := m[k]; return ok }

// graph is what is asked of all plans together: who depends on whom, and in
// which order. It never changes once it is made.
type graph struct {
	dependents map[Name][]Name
	level      map[Name]int // 0: depends on nothing
	place      map[Name]int // in State.listed
}

func newGraph(services map[Name]*Service) *graph {
	g := &graph{
		dependents: make(map[Name][]Name),
		level:      make(map[Name]int, len(services)),
		place:      make(map[Name]int, len(services)),
	}
	names := slices.SortedFunc(maps.Keys(services), compareNames)
	needs := func(name Name) []Name {
		s, ok := services[name]
		if !ok {
			return nil
		}
		all := make([]Name, len(s.Plan.DependsOn))
		for i, d := range s.Plan.DependsOn {
			all[i] = name.sibling(d.Service)
		}
		return all
	}
	for i, name := range names {
		g.place[name] = i
		levelOf(name, g.level, needs)
		for _, need := range needs(name) {
			g.dependents[need] = append(g.dependents[need], name)
		}
	}
	return g
}

// compare orders services as slots are given out: dependencies first.
func (g *graph) compare(a, b Name) int {
	return cmp.Or(cmp.Compare(g.level[a], g.level[b]), compareNames(a, b))
}

// above reports whether a stands above b, as a dependent does. Along a cycle
// (which the manifest refuses) at least one edge does not, so that nothing
// waits for itself.
func (g *graph) above(a, b Name) bool { return g.level[a] > g.level[b] }

func compareNames(a, b Name) int {
	return cmp.Or(
		strings.Compare(a.Environment, b.Environment),
		strings.Compare(a.Project, b.Project),
		strings.Compare(a.Service, b.Service),
	)
}

// sibling returns another service of the same project.
func (n Name) sibling(service string) Name {
	n.Service = service
	return n
}
