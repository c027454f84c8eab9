package manifest

import (
	"errors"
	"net"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// Published is a port that a service is reached by from this machine.
type Published struct {
	Port     string // its name
	Number   int    // on 127.0.0.1 and ::1
	Protocol string // "http" or "tcp"
	Mode     Mode
}

// listened is a number that somebody has to listen on.
type listened struct {
	number int
	at     *yaml.Node
}

// numbers are those of a port that nobody else can have.
func (p port) numbers() []listened {
	return []listened{{p.Number, p.at}, {p.target, p.targetAt}}
}

// portClashes reports numbers that two want to listen on.
func (d *document) portClashes(all drafts) {
	taken := map[int]*yaml.Node{}
	owner := map[int]string{}
	for _, s := range all.list {
		for _, p := range s.ports {
			for _, one := range p.numbers() {
				name := s.name + "/" + p.Name
				first, clash := taken[one.number]
				switch {
				case one.number == 0:
				case !clash:
					taken[one.number], owner[one.number] = one.at, name
				default:
					d.service = s.name
					d.wrong(one.at, clashHint(one.number == p.target), "port %d of %s is that of %s already, at %s",
						one.number, name, owner[one.number], d.place(first))
				}
			}
		}
	}
	d.service = ""
}

func clashHint(target bool) string {
	if target {
		return "have one of the services listen on $PORT, and leave its target out"
	}
	return "give one of them another number, or auto"
}

// choosePorts asks for the numbers that the manifest leaves open, and for
// others than those that somebody else has.
func (d *document) choosePorts(all drafts, project string, req Request) {
	choose := req.AutoPort
	if choose == nil {
		choose = func(string, string, string) (int, error) { return 0, errors.New("nobody chooses ports here") }
	}
	for _, s := range all.list {
		d.service = s.name
		for i := range s.ports {
			s.choosePort(&s.ports[i], project, choose, req)
		}
	}
	d.portClashes(all)
}

func (s *draft) choosePort(p *port, project string, choose func(project, service, port string) (int, error), req Request) {
	taken, back := "", keptBack(s.profiles, req.Profiles)
	if !p.auto && req.Taken != nil {
		taken = req.Taken(project, s.name, p.Name, p.Number)
	}
	if p.target != 0 && req.Taken != nil && !back {
		if held := req.Taken(project, s.name, p.Name, p.target); held != "" {
			s.warn(p.targetAt, "have the service listen on $PORT, and leave the target out", "port %s: %s, and %s insists on it", p.Name, held, s.name)
		}
	}
	if !p.auto && taken == "" {
		return
	}
	number, err := choose(project, s.name, p.Name)
	if err != nil {
		s.wrong(p.at, "write a number instead", "port %s: choose a number for auto: %s", p.Name, err)
		return
	}
	if taken != "" {
		s.taken[p.Name] = p.Number
		if !back {
			s.warn(p.at, "write auto, or another number, to have it without this warning", "port %s: %s; it is %d instead, as for auto", p.Name, taken, number)
		}
	}
	p.Number = number
}

// resolvePorts copies the ports to the spec, now that all have a number.
func (s *draft) resolvePorts() {
	for _, p := range s.ports {
		own := p.Port
		switch {
		case s.target != nil:
			own.Number = p.target
			if own.Number == 0 && s.image.name != "" {
				own.Number = p.Number // an image that is there already knows nothing of $PORT
			}
		case p.mode == ModeProxy:
			own.Number = p.target // 0: the runtime picks one per instance
			s.plan.Proxied = true
		case p.mode == ModeInherit:
			id := s.spec.ID
			for _, host := range []string{"127.0.0.1", "::1"} {
				s.spec.Sockets = append(s.spec.Sockets, runtime.Socket{
					Name:    id.Project + "/" + id.Service + "/" + p.Name,
					Address: net.JoinHostPort(host, strconv.Itoa(p.Number)),
				})
			}
		}
		s.spec.Ports = append(s.spec.Ports, own)
	}
}

// published are the ports on this machine: those of a target are not.
func (s *draft) published() []Published {
	if s.target != nil {
		return nil
	}
	var out []Published
	for _, p := range s.ports {
		out = append(out, Published{Port: p.Name, Number: p.Number, Protocol: p.Protocol, Mode: p.mode})
	}
	return out
}

// url is where a port is reached: from this machine, or from within a cluster.
func (s *draft) url(p port) string {
	scheme := "tcp"
	switch {
	case p.Name == "grpc":
		scheme = "grpc"
	case p.Protocol == "http":
		scheme = "http"
	}
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Number))
	if s.target != nil {
		at = net.JoinHostPort(runtime.HostName(s.name), strconv.Itoa(p.Number))
	} else if elsewhere := s.remote[s.name][p.Name]; elsewhere != "" {
		at = elsewhere
	}
	return scheme + "://" + at
}

func (s *draft) urls() []string {
	var out []string
	for _, p := range s.ports {
		out = append(out, s.url(p))
	}
	return out
}
