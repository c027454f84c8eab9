package supervisor

import (
	"iter"
	"maps"
	"slices"
)

// Diff returns the services that differ from one state to another that came
// of it, each as it was and as it is: nil before it was there, and after it was
// removed. Where Steps lie between the two that changed no plans, it costs a
// comparison of two pointers a service.
func Diff(before, after State) iter.Seq2[*Service, *Service] {
	return func(yield func(was, is *Service) bool) {
		if before.graph != nil && before.graph == after.graph {
			for i, is := range after.listed {
				if was := before.listed[i]; was != is && !yield(was, is) {
					return
				}
			}
			return
		}
		for name, is := range after.Services {
			if was := before.Services[name]; was != is && !yield(was, is) {
				return
			}
		}
		for name, was := range before.Services {
			if _, still := after.Services[name]; !still && !yield(was, nil) {
				return
			}
		}
	}
}

// derive makes anew what follows from Services.
func (s *State) derive() {
	s.graph = newGraph(s.Services)
	s.restless = findRestless(*s)
	s.listed = make([]*Service, len(s.graph.place))
	for name, at := range s.graph.place {
		s.listed[at] = s.Services[name]
	}
}

// list puts a service in its place in the state's own copy of listed; nil: it
// was dropped.
func (t *step) list(name Name, s *Service) {
	if t.state.graph == nil {
		return // listed comes with it
	}
	if at, ok := t.state.graph.place[name]; ok { // else another graph comes
		t.state.listed[at] = s
	}
}

// own gives the state copies of what is changed in place.
func (t *step) own() {
	if t.cloned {
		return
	}
	t.cloned = true
	t.state.restless = slices.Clone(t.state.restless)
	t.state.listed = slices.Clone(t.state.listed)
	t.state.Services = maps.Clone(t.state.Services)
	if t.state.Services == nil {
		t.state.Services = make(map[Name]*Service)
	}
}
