package daemon

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Published is a port as callers see it.
type Published struct {
	Port     string // its name, a key of an instance's endpoints
	Number   int
	Protocol string // "http", "tcp"
	Mode     string // one of the modes below
}

// Who listens on a published port.
const (
	ModeProxy   = "proxy"   // the gateway
	ModeInherit = "inherit" // the service, on a socket of the runtime
	ModeSelf    = "self"    // the service, on its own
)

// Route is what the gateway is to know of one service.
type Route struct {
	ID        string // "project/service"
	Doors     []Door
	Traffic   supervisor.Traffic
	Endpoints map[string][]string // by port: host:port of each instance that is ready; held: that was started
	Reason    string              // for those who are turned away, or wait
	Use       bool                // say when it is used
}

// callable reports whether whoever calls is served, or wakes what serves him:
// users are told that such a service is up.
func (r Route) callable() bool {
	return r.Traffic.State == supervisor.TrafficServing || r.Traffic.Cause.Kind == supervisor.CauseAsleep
}

// Door is a published port with the addresses that are its.
type Door struct {
	Name      string // for people
	Addresses []string
	Port      string
	Protocol  string
}

// routeID is how the gateway knows a service.
func routeID(name supervisor.Name) string { return name.Project + "/" + name.Service }

// doors returns the ports of a service that the gateway holds.
func (s Service) doors(project string) []Door {
	var doors []Door
	for _, p := range s.Published {
		if p.Mode == ModeProxy {
			doors = append(doors, Door{
				Name: project + "/" + s.Name + "/" + p.Port, Addresses: p.addresses(), Port: p.Port, Protocol: p.Protocol,
			})
		}
	}
	return doors
}

// addresses are both of the loopback: what a client makes of "localhost" is
// not ours to choose.
func (p Published) addresses() []string {
	number := strconv.Itoa(p.Number)
	return []string{net.JoinHostPort("127.0.0.1", number), net.JoinHostPort("::1", number)}
}

// socketAt is a socket that is known by its address alone.
func socketAt(address string) runtime.Socket {
	return runtime.Socket{Name: address, Address: address}
}

// route derives from the present what the gateway is to do with those who
// call a service by its doors; ok is false when it has nothing to do with it.
func (p *Present) route(s *supervisor.Service, doors []Door) (r Route, ok bool) {
	if len(doors) == 0 || !attended(s) {
		return r, false
	}
	r = Route{ID: routeID(s.Name), Doors: doors, Traffic: s.Traffic()}
	r.Reason = p.reason(s, r.Traffic)
	r.Use = s.Plan.OnDemand
	r.Endpoints = map[string][]string{}
	instances := r.Traffic.Instances
	if g := r.Traffic.Awaited; g != nil { // should nobody be there to say when it is ready
		r.Traffic.Generation, instances = g.Number, g.Instances
	}
	for _, i := range instances {
		for port, address := range i.Endpoints {
			r.Endpoints[port] = append(r.Endpoints[port], address)
		}
	}
	r.Traffic.Instances, r.Traffic.Awaited = nil, nil // said by Endpoints; the rest of them changes all the time
	return r, true
}

// attended reports whether a service has its ports: from the wish for it
// until nothing of it is left.
func attended(s *supervisor.Service) bool { return s.Want.Up && !s.Gone || !quiet(*s) }

// reasonDiagnostics is how much of what is wrong the gateway says.
const reasonDiagnostics = 20

// reason says in words why a service does not serve. Where it should, a
// caller who hears that has found nobody listening.
func (p *Present) reason(s *supervisor.Service, t supervisor.Traffic) string {
	text := s.Name.Service + " does not serve"
	switch {
	case t.Cause.Text != "":
		text += ": " + t.Cause.Text
	case t.State == supervisor.TrafficServing:
		text += ": it was ready, and refuses connections now; see: stead logs " + s.Name.Service
	}
	for i, d := range p.Diagnostics[s.Name] {
		if i == reasonDiagnostics {
			return text + fmt.Sprintf("\nand %d more", len(p.Diagnostics[s.Name])-i)
		}
		text += "\n" + d.Position() + ": " + d.Text
	}
	return text
}

// sockets are what the runtime is to listen on for a service, the gateway's
// and its own.
func (p *Present) sockets(s *supervisor.Service, doors []Door) []runtime.Socket {
	if !attended(s) {
		return nil
	}
	var all []runtime.Socket
	for _, socket := range p.Projects[s.Name.Project].Services[s.Name.Service].Spec.Sockets {
		all = append(all, socketAt(socket.Address))
	}
	for _, door := range doors {
		for _, address := range door.Addresses {
			all = append(all, socketAt(address))
		}
	}
	return all
}

// serviceOfRoute is the inverse of routeID.
func serviceOfRoute(id string) (supervisor.Name, bool) {
	project, service, ok := strings.Cut(id, "/")
	return serviceName(project, service), ok
}
