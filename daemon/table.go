package daemon

import (
	"cmp"
	"maps"
	"math"
	"net"
	"reflect"
	"slices"
	"strconv"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// table is what the gateway and the runtime's sockets are to be, followed from
// present to present: what did not change costs a comparison of pointers.
type table struct {
	applied  uint64 // Present.Applied of the last update
	state    supervisor.State
	problems map[supervisor.Name]*runtime.Diagnostic // the first one of each service that has one
	routes   map[supervisor.Name]Route
	callable int // routes whose callers are served, or wake what serves them
	bound    map[supervisor.Name][]runtime.Socket
	orphans  map[supervisor.Name][]Door // published by services whose manifest was lost
	numbers  []int                      // numbersOf the projects, sorted
}

func newTable() table {
	return table{applied: math.MaxUint64, routes: map[supervisor.Name]Route{}, bound: map[supervisor.Name][]runtime.Socket{}, orphans: map[supervisor.Name][]Door{}}
}

// update returns what is different from the present before, and whether other
// sockets are wanted.
func (t *table) update(p *Present) (changes RouteChanges, sockets bool) {
	again := p.Applied != t.applied
	t.applied = p.Applied
	if again {
		now := slices.Sorted(maps.Keys(numbersOf(p.Projects)))
		sockets = !slices.Equal(t.numbers, now)
		t.numbers = now
	}
	look := map[supervisor.Name]*supervisor.Service{}
	if again {
		maps.Copy(look, p.State.Services)
	}
	for was, is := range supervisor.Diff(t.state, p.State) {
		if is != nil {
			look[is.Name] = is
		} else {
			sockets = t.remove(was.Name, &changes) || sockets
		}
	}
	for _, name := range t.diagnosed(p) {
		if s, ok := p.State.Services[name]; ok {
			look[name] = s
		}
	}
	t.state = p.State
	for _, s := range look {
		t.updateRoute(p, s, &changes)
		sockets = t.updateSockets(p, s) || sockets
	}
	return changes, sockets
}

// diagnosed returns the services that have another first diagnostic now, or
// none any more.
func (t *table) diagnosed(p *Present) []supervisor.Name {
	if len(p.Diagnostics) == 0 && len(t.problems) == 0 {
		return nil
	}
	now := map[supervisor.Name]*runtime.Diagnostic{}
	var names []supervisor.Name
	for name, d := range p.Diagnostics {
		if len(d) > 0 {
			now[name] = &d[0]
		}
		if now[name] != t.problems[name] {
			names = append(names, name)
		}
	}
	for name := range t.problems {
		if now[name] == nil {
			names = append(names, name)
		}
	}
	t.problems = now
	return names
}

// remove forgets a service, and reports whether it had sockets.
func (t *table) remove(name supervisor.Name, changes *RouteChanges) bool {
	if _, had := t.routes[name]; had {
		t.drop(name)
		changes.Removed = append(changes.Removed, routeID(name))
	}
	had := len(t.bound[name]) > 0
	delete(t.bound, name)
	return had
}

func (t *table) updateRoute(p *Present, s *supervisor.Service, changes *RouteChanges) {
	before, had := t.routes[s.Name]
	now, has := p.route(s, t.doors(p, s))
	switch {
	case has && !(had && reflect.DeepEqual(before, now)):
		t.drop(s.Name)
		t.routes[s.Name] = now
		if now.callable() {
			t.callable++
		}
		changes.Set = append(changes.Set, now)
	case had && !has:
		t.drop(s.Name)
		changes.Removed = append(changes.Removed, before.ID)
	}
}

// drop forgets a route.
func (t *table) drop(name supervisor.Name) {
	if t.routes[name].callable() {
		t.callable--
	}
	delete(t.routes, name)
}

func (t *table) updateSockets(p *Present, s *supervisor.Service) bool {
	now := p.sockets(s, t.doors(p, s))
	if slices.Equal(t.bound[s.Name], now) {
		return false
	}
	t.bound[s.Name] = now
	return true
}

// doors are the published ports of a service that the gateway holds.
func (t *table) doors(p *Present, s *supervisor.Service) []Door {
	if service, ok := p.Projects[s.Name.Project].Services[s.Name.Service]; ok {
		return service.doors(s.Name.Project)
	}
	if s.Orphan {
		return t.orphans[s.Name]
	}
	return nil
}

// all is the whole table as changes of an empty one.
func (t *table) all() RouteChanges {
	return RouteChanges{Set: slices.Collect(maps.Values(t.routes))}
}

// sockets are all that are wanted, each address once, and the numbers that
// nobody is to be given besides.
func (t *table) sockets() []runtime.Socket {
	var all []runtime.Socket
	for _, some := range t.bound {
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b runtime.Socket) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Name, b.Name))
	})
	all = slices.CompactFunc(all, func(a, b runtime.Socket) bool { return a.Address == b.Address })
	bound := map[string]bool{}
	for _, s := range all {
		_, number, _ := net.SplitHostPort(s.Address)
		bound[number] = true
	}
	rest := slices.DeleteFunc(slices.Clone(t.numbers), func(number int) bool { return bound[strconv.Itoa(number)] })
	return append(all, reservations(rest)...)
}

// owner finds whose a socket is.
func (t *table) owner(socket runtime.Socket) supervisor.Name {
	for name, some := range t.bound {
		if slices.Contains(some, socket) {
			return name
		}
	}
	return supervisor.Name{}
}
