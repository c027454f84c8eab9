package manifest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// A Mode says who listens on a published port.
type Mode string

// The modes.
const (
	ModeProxy   Mode = "proxy"   // the gateway, which forwards to where the service listens
	ModeInherit Mode = "inherit" // the runtime, whose socket the service is given (LISTEN_FDS)
	ModeSelf    Mode = "self"    // the service
)

// A port is one that the service is reached by.
type port struct {
	runtime.Port            // Number is the published one
	mode         Mode       //
	target       int        // that the service insists on, 0: it listens where $PORT says
	auto         bool       // the number is chosen when all else is known
	at           *yaml.Node // of the number
	targetAt     *yaml.Node // nil: none is written
	modeAt       *yaml.Node // nil: it is not written
}

// A port's name becomes $PORT_NAME, where a hyphen is an underscore.
var validPort = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

var portKeys = []string{"port", "protocol", "mode", "target"}

// portLater says why other keys are not keys: these are Compose's.
var portLater = map[string]string{
	"published": "write port: the number that callers use",
	"host_ip":   "published ports are those of this machine only, 127.0.0.1 and ::1",
	"name":      "the name is what stands before it: ports: {name: {port: 8080}}",
}

// webNames are words for what is spoken over HTTP, as protocols and as names
// of ports: gRPC is HTTP/2, a WebSocket begins as a request.
var webNames = []string{"http", "h2c", "grpc", "ws"}

// readPorts reads ports: {name: number}, or one number, which is then http.
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
	p := port{Port: runtime.Port{Name: name, Protocol: "tcp"}, mode: ModeProxy, at: n}
	if slices.Contains(webNames, name) {
		p.Protocol = "http"
	}
	if n.Kind == yaml.MappingNode && !s.longPort(&p, n) {
		return
	}
	s.portNumbers(&p)
	s.ports = append(s.ports, p)
}

// longPort reads {port: 5432, protocol: tcp, mode: proxy, target: 3000}.
func (s *draft) longPort(p *port, n *yaml.Node) bool {
	keys := s.known(n, "a port", portKeys, portLater)
	if f, ok := keys["protocol"]; ok {
		p.Protocol = s.protocol(f.value)
	}
	if f, ok := keys["mode"]; ok {
		p.mode, p.modeAt = s.mode(f.value), f.key
	}
	if f, ok := keys["target"]; ok {
		p.targetAt = f.value
		if text, ok := s.value(f.value, "target"); ok {
			p.target = s.portNumber(f.value, p.Name, text, "write the number that the service listens on, or leave it out")
		}
		if p.mode != ModeProxy {
			s.wrong(f.key, "remove one of them", "port %s: target goes with mode proxy: with mode %s the service listens on the published port", p.Name, p.mode)
		}
	}
	f, ok := keys["port"]
	if !ok {
		s.wrong(n, "write {port: 5432, protocol: tcp}", "port %q has no number", p.Name)
		return false
	}
	p.at = f.value
	return true
}

func (s *draft) protocol(n *yaml.Node) string {
	text, ok := s.value(n, "protocol")
	switch {
	case !ok:
	case slices.Contains(webNames, text):
		return "http"
	case text == "udp":
		s.wrong(n, "what works is http and tcp", "protocol udp is not there yet")
	case text == "https", text == "tls", text == "wss":
		s.wrong(n, "write protocol: tcp: its bytes are passed on as they are", "protocol %s is not known: TLS is the service's own", text)
	case text != "tcp":
		s.wrong(n, suggest(text, []string{"http", "tcp"}), "protocol %q is not known", text)
	}
	return "tcp"
}

func (s *draft) mode(n *yaml.Node) Mode {
	modes := []string{string(ModeProxy), string(ModeInherit), string(ModeSelf)}
	text, ok := s.value(n, "mode")
	switch {
	case !ok:
	case slices.Contains(modes, text):
		return Mode(text)
	case text == "host":
		s.wrong(n, "write mode: self", "mode %q is not known", text)
	default:
		s.wrong(n, suggest(text, modes), "mode %q is not known", text)
	}
	return ModeProxy
}

// portNumbers reads 9001, auto, or either of them with the number that the
// service insists on: 8080:3000.
func (s *draft) portNumbers(p *port) {
	text, ok := s.value(p.at, "port "+p.Name)
	if !ok {
		return
	}
	published, target, both := strings.Cut(text, ":")
	switch {
	case strings.Count(text, ":") > 1:
		s.wrong(p.at, `write "8080:3000": `+portLater["host_ip"], "port %s: %q is not understood", p.Name, text)
		return
	case both && p.targetAt != nil:
		s.wrong(p.targetAt, "remove one of them", "port %s: the target is in %q already", p.Name, text)
	case both && p.mode != ModeProxy:
		s.wrong(p.at, "leave mode out", "port %s: %q goes with mode proxy: with mode %s the service listens on the published port", p.Name, text, p.mode)
	case both:
		p.targetAt = p.at
		p.target = s.portNumber(p.at, p.Name, target, `write "8080:3000": published, and where the service listens`)
	}
	if p.auto = published == "auto"; !p.auto {
		p.Number = s.portNumber(p.at, p.Name, published, "write a number from 1 to 65535, or auto")
	}
	if p.Number != 0 && p.Number == p.target {
		s.wrong(p.at, "write "+published+" alone for a service that listens on $PORT, else {port: "+published+", mode: self}",
			"port %s: the gateway and the service cannot both listen on %d", p.Name, p.Number)
		p.target = 0
	}
}

// portNumber returns 0 after a finding.
func (s *draft) portNumber(n *yaml.Node, name, text, hint string) int {
	number, err := strconv.Atoi(text)
	switch {
	case text == "0":
		s.wrong(n, "write auto: chosen once, and the same ever after", "port %s: 0 is no port", name)
	case strings.Contains(text, "/"):
		s.wrong(n, "write {port: 8080, target: 80, protocol: tcp}", "port %s: %q is no port", name, text)
	case err != nil || number < 1 || number > 65535:
		s.wrong(n, hint, "port %s: %q is no port", name, text)
	default:
		return number
	}
	return 0
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
