package manifest

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// A question is one of the two that a service is asked: ready, or live.
type question struct {
	key   string // as it is written
	forms string // what works, for hints
	keys  []string
	other map[string]string // keys that are not, and why
}

const (
	readyForms = `what works is GET /path, tcp, grpc, "log: listening", "exec: command" (in quotes), and notify`
	liveForms  = `what works is GET /path, tcp, grpc, "exec: command" (in quotes), and notify`
	noLiveLog  = "a line that was written does not say that the service still works: " + liveForms
)

var probeKinds = []string{"http", "tcp", "grpc", "log", "exec", "notify"}

func askReady() question {
	return question{
		key: "ready", forms: readyForms,
		keys: append([]string{"port", "timeout", "interval", "failures", "deadline"}, probeKinds...),
		other: map[string]string{
			"start_period": "write deadline: how long the service may take", "retries": "write failures",
		},
	}
}

func askLive(key string) question {
	return question{
		key: key, forms: liveForms,
		keys: append([]string{"port", "timeout", "interval", "failures"},
			slices.DeleteFunc(slices.Clone(probeKinds), func(kind string) bool { return kind == "log" })...),
		other: map[string]string{
			"log": noLiveLog, "retries": "write failures",
			"start_period": "it is not needed: a service is asked from its first ready on",
			"deadline":     "it goes with ready",
		},
	}
}

// readProbe reads a probe as a text or as a mapping; nil after a finding.
func (s *draft) readProbe(n *yaml.Node, q question) *runtime.Probe {
	if n.Kind == yaml.MappingNode {
		return s.probeMapping(n, q)
	}
	text, ok := s.value(n, q.key)
	if !ok {
		return nil
	}
	kind, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case text == "tcp":
		return s.askPort(n, q, runtime.Probe{Kind: runtime.ProbeTCP})
	case text == "grpc":
		return s.askPort(n, q, runtime.Probe{Kind: runtime.ProbeGRPC})
	case kind == "GET":
		return s.askPort(n, q, runtime.Probe{Kind: runtime.ProbeHTTP, Path: rest})
	case kind == "exec:":
		return s.execProbe(n, q, rest)
	case kind == "log:" && q.key == "ready":
		return s.logProbe(n, rest)
	case kind == "log:":
		s.wrong(n, noLiveLog, "%s cannot be a line of the log", q.key)
	case text == "notify":
		return &runtime.Probe{Kind: runtime.ProbeNotify}
	case kind == strings.ToUpper(kind) && strings.HasPrefix(rest, "/"):
		s.wrong(n, "write GET "+rest, "%s asks by GET only, not by %s: it must change nothing", q.key, kind)
	default:
		s.wrong(n, q.forms, "%s %q is not understood", q.key, text)
	}
	return nil
}

func (s *draft) execProbe(n *yaml.Node, q question, text string) *runtime.Probe {
	argv, err := s.split(text)
	switch {
	case err != nil:
		s.wrong(n, `write {exec: [sh, -c, "…"]} for a shell`, "%s: exec cannot be split into words: %s", q.key, err)
	case len(argv) == 0:
		s.wrong(n, "", "%s: exec has no command", q.key)
	default:
		return &runtime.Probe{Kind: runtime.ProbeExec, Command: argv}
	}
	return nil
}

// logProbe takes a text, or /regexp/.
func (s *draft) logProbe(n *yaml.Node, text string) *runtime.Probe {
	if text == "" {
		s.wrong(n, `write "log: listening", or "log: /listening on [0-9]+/"`, "ready: log has no text")
		return nil
	}
	if len(text) > 2 && strings.HasPrefix(text, "/") && strings.HasSuffix(text, "/") {
		if _, err := regexp.Compile(text[1 : len(text)-1]); err != nil {
			s.wrong(n, "RE2 syntax: https://golang.org/s/re2syntax", "ready: log: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			return nil
		}
	}
	return &runtime.Probe{Kind: runtime.ProbeLog, Text: text}
}

// probeMapping reads one of {http: /path}, {tcp: port}, {grpc: service},
// {log: text}, {exec: command} and {notify: }, with how often and how long.
func (s *draft) probeMapping(n *yaml.Node, q question) *runtime.Probe {
	keys := s.known(n, q.key, q.keys, q.other)
	var kinds []string
	for _, kind := range probeKinds {
		if _, ok := keys[kind]; ok {
			kinds = append(kinds, kind)
		}
	}
	switch {
	case len(kinds) > 1:
		s.wrong(n, "keep the one that says most", "%s has more than one probe", q.key)
		return nil
	case len(kinds) == 0:
		if len(keys) == len(n.Content)/2 { // else something is wrong with what it has
			s.wrong(n, q.forms, "%s has no probe", q.key)
		}
		return nil
	}
	kind := kinds[0]
	if name, named := keys["port"]; named && kind != "http" && kind != "grpc" {
		s.wrong(name.key, "", "port goes with http and grpc only")
		return nil
	}
	probe := s.probeOf(kind, keys, q)
	timeout, interval, failures := s.optional(keys, "timeout"), s.optional(keys, "interval"), 0
	if f, ok := keys["failures"]; ok {
		failures = s.whole(f, 1, 1_000_000)
	}
	if probe != nil {
		probe.Timeout, probe.Interval, probe.Failures = timeout, interval, failures
		s.checkTimes(keys, q, probe)
	}
	return probe
}

// checkTimes refuses numbers that would have no effect.
func (s *draft) checkTimes(keys map[string]field, q question, probe *runtime.Probe) {
	waits := probe.Kind == runtime.ProbeLog || probe.Kind == runtime.ProbeNotify
	if f, ok := keys["timeout"]; ok && waits {
		s.wrong(f.key, "", "timeout does not go with %s: it is waited for, not asked", probe.Kind)
	}
	if q.key != "ready" {
		return
	}
	if f, ok := keys["interval"]; ok && waits {
		s.wrong(f.key, "", "interval does not go with %s: it is waited for, not asked", probe.Kind)
	}
	if f, ok := keys["failures"]; ok && !probe.Repeats() {
		s.wrong(f.key, "write interval: 10s to have it asked again", "failures goes with interval: without it nobody asks again after the first success")
	}
}

func (s *draft) probeOf(kind string, keys map[string]field, q question) *runtime.Probe {
	f := keys[kind]
	switch kind {
	case "http":
		probe := runtime.Probe{Kind: runtime.ProbeHTTP}
		probe.Path, _ = s.value(f.value, kind)
		return s.askNamed(f.value, keys, q, probe)
	case "tcp":
		probe := runtime.Probe{Kind: runtime.ProbeTCP}
		probe.Port, _ = s.value(f.value, kind)
		return s.askPort(f.value, q, probe)
	case "grpc":
		probe := runtime.Probe{Kind: runtime.ProbeGRPC}
		probe.Service, _ = s.text(f.value, kind)
		return s.askNamed(f.key, keys, q, probe)
	case "log":
		text, ok := s.value(f.value, kind)
		if !ok {
			return nil
		}
		return s.logProbe(f.value, text)
	case "exec":
		if argv, ok := s.argv(f.value, q.key+": exec", `write {exec: [sh, -c, "…"]} for a shell`); ok {
			return &runtime.Probe{Kind: runtime.ProbeExec, Command: argv}
		}
		return nil
	}
	if text, ok := s.text(f.value, kind); ok && text != "" && text != "true" {
		s.wrong(f.value, "write notify: true", "notify takes no value")
	}
	return &runtime.Probe{Kind: runtime.ProbeNotify}
}

// askNamed is askPort of the port that the mapping may name.
func (s *draft) askNamed(n *yaml.Node, keys map[string]field, q question, probe runtime.Probe) *runtime.Probe {
	if name, named := keys["port"]; named {
		probe.Port, _ = s.value(name.value, "port")
		n = name.value
	}
	return s.askPort(n, q, probe)
}

// optional returns a duration of at least a millisecond, 0 when left out.
func (s *draft) optional(keys map[string]field, key string) time.Duration {
	if f, ok := keys[key]; ok {
		return s.duration(f, time.Millisecond)
	}
	return 0
}

// askPort checks a probe of a port.
func (s *draft) askPort(n *yaml.Node, q question, probe runtime.Probe) *runtime.Probe {
	names := s.portNames()
	switch {
	case len(names) == 0:
		s.wrong(n, "add ports: {http: auto}, or use \"exec: command\"", "%s asks a port, and the service has none", q.key)
		return nil
	case probe.Kind == runtime.ProbeHTTP && (!strings.HasPrefix(probe.Path, "/") || strings.ContainsAny(probe.Path, " \t\r\n")):
		s.wrong(n, "write GET /healthz", "%s: %q is not a path", q.key, probe.Path)
		return nil
	case probe.Port != "":
	case probe.Kind == runtime.ProbeHTTP:
		probe.Port = s.webPort()
	case probe.Kind == runtime.ProbeGRPC && slices.Contains(names, "grpc"):
		probe.Port = "grpc"
	default:
		probe.Port = names[0]
	}
	if slices.Contains(names, probe.Port) {
		return &probe
	}
	s.wrong(n, suggest(probe.Port, names), "%s: the service has no port %q", q.key, probe.Port)
	return nil
}
