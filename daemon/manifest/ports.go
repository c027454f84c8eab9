package manifest

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// A port is one that the service listens on.
type port struct {
	runtime.Port
	auto bool       // the number is chosen when all else is known
	at   *yaml.Node // of the number
}

// A port's name becomes $PORT_NAME, where a hyphen is an underscore.
var validPort = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

const needsGateway = "it needs the gateway, which is not there yet: give the port the service listens on itself"

// readPorts reads ports: {name: number}, or one number, which is then http.
// Until the gateway is there the service listens on that number itself.
func (s *draft) readPorts() {
	f, ok := s.keys["ports"]
	if !ok {
		return
	}
	switch f.value.Kind {
	case yaml.MappingNode:
		for _, one := range s.fields(f.value, "ports") {
			s.addPort(one.key, one.key.Value, one.value)
		}
	case yaml.SequenceNode:
		items := s.items(f.value)
		if len(items) != 1 {
			s.wrong(f.value, "write ports: {http: 8080, admin: 8081}", "a list of ports must have one element: several need names")
			return
		}
		s.addPort(items[0], "http", items[0])
	default:
		s.addPort(f.value, "http", f.value)
	}
}

func (s *draft) addPort(at *yaml.Node, name string, n *yaml.Node) {
	if !validPort.MatchString(name) {
		s.wrong(at, "begin with a letter, then use a-z, 0-9 and -, at most 32", "%q is not a valid name for a port", name)
		return
	}
	p := port{Port: runtime.Port{Name: name, Protocol: "tcp"}, at: n}
	if name == "http" || name == "grpc" {
		p.Protocol = "http" // gRPC is HTTP/2
	}
	if n.Kind == yaml.MappingNode {
		keys := s.known(n, "a port", []string{"port", "protocol"}, map[string]string{"mode": needsGateway})
		if f, ok := keys["protocol"]; ok {
			p.Protocol = s.protocol(f.value)
		}
		f, ok := keys["port"]
		if !ok {
			s.wrong(n, "write {port: 5432, protocol: tcp}", "port %q has no number", name)
			return
		}
		p.at = f.value
	}
	p.Number, p.auto = s.portNumber(p.at, name)
	s.ports = append(s.ports, p)
}

func (s *draft) protocol(n *yaml.Node) string {
	text, ok := s.value(n, "protocol")
	switch {
	case !ok:
	case text == "http", text == "h2c", text == "grpc":
		return "http"
	case text == "udp":
		s.wrong(n, "what works is http and tcp", "protocol udp is not there yet")
	case text != "tcp":
		s.wrong(n, suggest(text, []string{"http", "tcp"}), "protocol %q is not known", text)
	}
	return "tcp"
}

func (s *draft) portNumber(n *yaml.Node, name string) (number int, auto bool) {
	text, ok := s.value(n, "port "+name)
	if !ok || text == "auto" {
		return 0, ok
	}
	number, err := strconv.Atoi(text)
	switch {
	case strings.Contains(text, ":"):
		s.wrong(n, needsGateway, "port %s: publishing %q on another port is not there yet", name, text)
	case text == "0":
		s.wrong(n, "write auto: chosen once, and the same ever after", "port %s: 0 is no port", name)
	case err != nil || number < 1 || number > 65535:
		s.wrong(n, "write a number from 1 to 65535, or auto", "port %s: %q is no port", name, text)
	default:
		return number, false
	}
	return 0, false
}

// portClashes reports ports that two services want.
func (d *document) portClashes(all drafts) {
	taken := map[int]port{}
	owner := map[int]string{}
	for _, s := range all.list {
		for _, p := range s.ports {
			if p.Number == 0 {
				continue
			}
			first, clash := taken[p.Number]
			if !clash {
				taken[p.Number], owner[p.Number] = p, s.name
				continue
			}
			d.service = s.name
			d.wrong(p.at, "give one of them another number, or auto",
				"port %d of %s/%s is that of %s/%s already, at %s", p.Number, s.name, p.Name,
				owner[p.Number], first.Name, d.place(first.at))
		}
	}
	d.service = ""
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
		for i, p := range s.ports {
			taken := ""
			if !p.auto && req.Taken != nil {
				taken = req.Taken(project, s.name, p.Name, p.Number)
			}
			if !p.auto && taken == "" {
				continue
			}
			number, err := choose(project, s.name, p.Name)
			if err != nil {
				d.wrong(p.at, "write a number instead", "port %s: choose a number for auto: %s", p.Name, err)
				continue
			}
			s.ports[i].Number = number
			if taken != "" {
				s.taken[p.Name] = p.Number
			}
			if taken != "" && !keptBack(s.profiles, req.Profiles) {
				d.warn(p.at, "write auto, or another number, to have it without this warning", "port %s: %s; it is %d instead, as for auto", p.Name, taken, number)
			}
		}
	}
	d.portClashes(all)
}

// resolvePorts copies the ports to the spec, now that all have a number.
func (s *draft) resolvePorts() {
	for _, p := range s.ports {
		s.spec.Ports = append(s.spec.Ports, p.Port)
	}
}

// url is where a port is reached from this machine.
func (p port) url() string {
	scheme := "tcp"
	switch {
	case p.Name == "grpc":
		scheme = "grpc"
	case p.Protocol == "http":
		scheme = "http"
	}
	return scheme + "://127.0.0.1:" + strconv.Itoa(p.Number)
}

func (s *draft) urls() []string {
	var out []string
	for _, p := range s.ports {
		out = append(out, p.url())
	}
	return out
}

func (s *draft) portNames() []string {
	var out []string
	for _, p := range s.ports {
		out = append(out, p.Name)
	}
	return out
}

// webPort is the port that an HTTP probe asks unless it names one.
func (s *draft) webPort() string {
	i := slices.IndexFunc(s.ports, func(p port) bool { return p.Name == "http" })
	if i < 0 {
		i = slices.IndexFunc(s.ports, func(p port) bool { return p.Protocol == "http" && p.Name != "grpc" })
	}
	return s.ports[max(i, 0)].Name
}
