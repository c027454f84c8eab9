package manifest

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// defaultBuildTimeout ends builds that hang, and none that works: a first
// build of a large program takes minutes.
const defaultBuildTimeout = 10 * time.Minute

// A Matcher finds diagnostics in lines of output.
type Matcher struct {
	Pattern string // RE2; what it matches is one line without its end
	// Numbers of the pattern's groups, 0: there is none. File and Message
	// have one always.
	File, Line, Column, Severity, Message int
	Level                                 runtime.Severity // without a Severity, or where it is no word for one
}

// build is what the manifest says of a build.
type build struct {
	command  []string // nil: there is none
	dir      string
	timeout  time.Duration
	matchers []Matcher
}

// buildLater says why other keys are not keys: these are Compose's.
var buildLater = map[string]string{
	"context":    "services are processes, not images: write {command: go build -o bin/web ./web}",
	"dockerfile": "services are processes, not images: write {command: go build -o bin/web ./web}",
	"args":       "write environment in the service",
	"target":     "write it into the command",
	"matcher":    "write matchers",
}

// readBuild reads a build: a text, a list, or {command, dir, timeout, matchers}.
func (s *draft) readBuild() {
	f, ok := s.keys["build"]
	if !ok {
		return
	}
	s.build = build{dir: s.spec.Dir, timeout: defaultBuildTimeout}
	if f.value.Kind != yaml.MappingNode {
		s.build.command = s.buildCommand(f.value)
		return
	}
	keys := s.known(f.value, "build", []string{"command", "dir", "timeout", "matchers"}, buildLater)
	if f, ok := keys["dir"]; ok {
		s.build.dir = s.path(f.value, "dir")
	}
	if f, ok := keys["timeout"]; ok {
		s.build.timeout = s.duration(f, time.Second)
	}
	if f, ok := keys["matchers"]; ok {
		s.readMatchers(f.value)
	}
	if command, ok := keys["command"]; ok {
		s.build.command = s.buildCommand(command.value)
	} else {
		s.wrong(f.value, "write {command: go build -o bin/web ./web}", "build has no command")
	}
}

// buildCommand is like readCommand, but a text that needs a shell gets one:
// builds are short scripts more often than not, and nobody signals them.
func (s *draft) buildCommand(n *yaml.Node) []string {
	if n.Kind == yaml.SequenceNode {
		argv, _ := s.argvList(n, "build")
		return argv
	}
	text, ok := s.value(n, "build")
	if !ok {
		return nil
	}
	argv, err := s.split(text)
	switch {
	case errors.As(err, new(*needsShell)):
		return []string{"sh", "-c", text}
	case err != nil:
		s.wrong(n, "", "build cannot be split into words: %s", err)
	case len(argv) == 0 || argv[0] == "":
		s.wrong(n, "", "build is empty")
	default:
		return argv
	}
	return nil
}

// buildSpec is the one-shot that runs the build, or nil. Its output goes into
// the service's log.
func (s *draft) buildSpec() *runtime.Spec {
	if s.build.command == nil {
		return nil
	}
	if s.target != nil {
		s.build.command = s.packed(s.build.command)
	}
	id := s.spec.ID
	id.Service += ":build" // no service has a colon in its name
	return &runtime.Spec{
		ID: id, Log: s.name, Command: s.build.command, Dir: s.build.dir, Environment: s.buildEnvironment(), Replicas: 1,
		Restart: runtime.Restart{Policy: runtime.RestartNo},
		Stop:    runtime.Stop{Signal: defaultSignal, Grace: defaultGrace},
	}
}

// readMatchers reads one matcher, or a list of them.
func (s *draft) readMatchers(n *yaml.Node) {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = s.items(n)
	}
	for _, one := range nodes {
		if m, ok := s.matcher(one); ok {
			s.build.matchers = append(s.build.matchers, m)
		}
	}
}

// groups are the parts of a finding, each a group of the pattern: by its
// number, or by having the same name.
var groups = []string{"file", "line", "column", "severity", "message"}

func (s *draft) matcher(n *yaml.Node) (Matcher, bool) {
	m := Matcher{Level: runtime.SeverityError}
	keys := s.known(n, "a matcher", append([]string{"pattern"}, groups...), map[string]string{
		"regexp": "write pattern", "code": "leave it out: it is part of the message",
	})
	pattern, ok := keys["pattern"]
	if !ok {
		if n.Kind == yaml.MappingNode {
			s.wrong(n, `write {pattern: '^(.+):(\d+): (.+)$', file: 1, line: 2, message: 3}`, "a matcher has no pattern")
		}
		return m, false
	}
	if m.Pattern, ok = s.value(pattern.value, "pattern"); !ok {
		return m, false
	}
	re, err := regexp.Compile(m.Pattern)
	if err != nil {
		s.wrong(pattern.value, "RE2 syntax: https://golang.org/s/re2syntax", "pattern: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return m, false
	}
	for i, group := range []*int{&m.File, &m.Line, &m.Column, &m.Severity, &m.Message} {
		*group = max(re.SubexpIndex(groups[i]), 0)
		if f, ok := keys[groups[i]]; ok {
			*group = s.group(f, re, &m)
		}
	}
	for _, required := range []string{"file", "message"} {
		if _, written := keys[required]; !written && re.SubexpIndex(required) < 0 {
			s.wrong(n, "write "+required+": and the number of its group, or name the group: (?P<"+required+">…)", "a matcher does not say which group is the %s", required)
		}
	}
	return m, true
}

// group returns the number of a group; a severity may be a word instead, and
// is that of all.
func (s *draft) group(f field, re *regexp.Regexp, m *Matcher) int {
	text, ok := s.value(f.value, f.key.Value)
	number, err := strconv.Atoi(text)
	word := runtime.Severity(text)
	switch {
	case !ok:
	case f.key.Value == "severity" && slices.Contains([]runtime.Severity{runtime.SeverityError, runtime.SeverityWarning}, word):
		m.Level = word
	case err != nil || number < 1:
		hint := "groups are counted by their ( from 1"
		if f.key.Value == "severity" {
			hint += "; or write error, or warning"
		}
		s.wrong(f.value, hint, "%s must be the number of a group, not %q", f.key.Value, text)
	case number > re.NumSubexp():
		s.wrong(f.value, "groups are counted by their ( from 1", "%s: the pattern has %d groups, and no group %d", f.key.Value, re.NumSubexp(), number)
	default:
		return number
	}
	return 0
}
