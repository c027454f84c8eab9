package manifest

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

const readyForms = `what works is tcp, GET /path, and "exec: command" (in quotes)`

// readReady reads how the service is asked whether it can work. Left out it
// is a TCP connect to the first port, and nothing where there is none.
func (s *draft) readReady() {
	f, ok := s.keys["ready"]
	switch {
	case ok && f.value.Kind == yaml.MappingNode:
		s.readyMapping(f.value)
	case ok:
		if text, ok := s.value(f.value, "ready"); ok {
			s.readyText(f.value, text)
		}
	case len(s.ports) > 0:
		s.spec.Ready = &runtime.Probe{Kind: runtime.ProbeTCP, Port: s.ports[0].Name}
	}
	_, asked := s.keys["ready"]
	f, ok = s.keys["ready_timeout"]
	switch {
	case ok && !asked && s.keys["ports"].key == nil:
		s.wrong(f.key, "add ready or ports, or remove it", "ready_timeout without a probe: the service is ready as soon as it runs")
	case ok:
		s.spec.ReadyTimeout = s.duration(f, time.Millisecond)
	case s.spec.Ready != nil:
		s.spec.ReadyTimeout = defaultReadyTimeout
	}
}

func (s *draft) readyText(n *yaml.Node, text string) {
	kind, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case text == "tcp":
		s.probe(n, runtime.Probe{Kind: runtime.ProbeTCP})
	case kind == "GET":
		s.probe(n, runtime.Probe{Kind: runtime.ProbeHTTP, Path: rest})
	case kind == "exec:":
		s.execProbe(n, rest)
	case text == "grpc", text == "notify", kind == "log:":
		s.wrong(n, readyForms, "ready %s is not there yet", strings.TrimSuffix(kind, ":"))
	case kind == strings.ToUpper(kind) && strings.HasPrefix(rest, "/"):
		s.wrong(n, "write GET "+rest, "ready asks by GET only, not by %s: it must change nothing", kind)
	default:
		s.wrong(n, readyForms, "ready %q is not understood", text)
	}
}

func (s *draft) execProbe(n *yaml.Node, text string) {
	argv, err := s.split(text)
	switch {
	case err != nil:
		s.wrong(n, `write {exec: [sh, -c, "…"]} for a shell`, "ready: exec cannot be split into words: %s", err)
	case len(argv) == 0:
		s.wrong(n, "", "ready: exec has no command")
	default:
		s.spec.Ready = &runtime.Probe{Kind: runtime.ProbeExec, Command: argv}
	}
}

// readyMapping reads {http: /path, port: name}, {tcp: name} or {exec: command},
// each with timeout and interval.
func (s *draft) readyMapping(n *yaml.Node) {
	keys := s.known(n, "ready", []string{"http", "tcp", "exec", "port", "timeout", "interval"},
		map[string]string{"grpc": "it is not there yet: " + readyForms, "log": "it is not there yet: " + readyForms, "notify": "it is not there yet: " + readyForms})
	http, isHTTP := keys["http"]
	tcp, isTCP := keys["tcp"]
	exec, isExec := keys["exec"]
	name, named := keys["port"]
	switch {
	case isHTTP && isTCP, isHTTP && isExec, isTCP && isExec:
		s.wrong(n, "keep the one that says most", "ready has more than one probe")
	case named && !isHTTP:
		s.wrong(name.key, "", "port goes with http only")
	case isHTTP:
		probe := runtime.Probe{Kind: runtime.ProbeHTTP}
		probe.Path, _ = s.value(http.value, "http")
		if named {
			probe.Port, _ = s.value(name.value, "port")
			s.probe(name.value, probe)
		} else {
			s.probe(http.value, probe)
		}
	case isTCP:
		probe := runtime.Probe{Kind: runtime.ProbeTCP}
		probe.Port, _ = s.value(tcp.value, "tcp")
		s.probe(tcp.value, probe)
	case isExec:
		if argv, ok := s.argv(exec.value, "ready: exec", `write {exec: [sh, -c, "…"]} for a shell`); ok {
			s.spec.Ready = &runtime.Probe{Kind: runtime.ProbeExec, Command: argv}
		}
	case len(keys) == len(n.Content)/2: // else something is wrong with what it has
		s.wrong(n, readyForms, "ready has no probe")
	}
	timeout, interval := s.optional(keys, "timeout"), s.optional(keys, "interval")
	if s.spec.Ready != nil {
		s.spec.Ready.Timeout, s.spec.Ready.Interval = timeout, interval
	}
}

// optional returns a duration of at least a millisecond, 0 when left out.
func (s *draft) optional(keys map[string]field, key string) time.Duration {
	if f, ok := keys[key]; ok {
		return s.duration(f, time.Millisecond)
	}
	return 0
}

// probe checks a probe of a port and takes it.
func (s *draft) probe(n *yaml.Node, probe runtime.Probe) {
	names := s.portNames()
	switch {
	case len(names) == 0:
		s.wrong(n, "add ports: {http: auto}, or use \"exec: command\"", "ready asks a port, and the service has none")
		return
	case probe.Kind == runtime.ProbeHTTP && (!strings.HasPrefix(probe.Path, "/") || strings.ContainsAny(probe.Path, " \t\r\n")):
		s.wrong(n, "write GET /healthz", "ready: %q is not a path", probe.Path)
		return
	case probe.Port == "" && probe.Kind == runtime.ProbeHTTP:
		probe.Port = s.webPort()
	case probe.Port == "":
		probe.Port = names[0]
	}
	for _, name := range names {
		if name == probe.Port {
			s.spec.Ready = &probe
			return
		}
	}
	s.wrong(n, suggest(probe.Port, names), "ready: the service has no port %q", probe.Port)
}
