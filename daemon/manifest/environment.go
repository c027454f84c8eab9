package manifest

import (
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// OriginStead is the origin of a variable that stead sets itself.
const OriginStead = "stead"

// readEnvironment fills in what the service declares: its files in the order
// written, over them its own variables.
func (s *draft) readEnvironment() {
	s.environment, s.origins, s.secret = map[string]string{}, map[string]string{}, map[string]bool{}
	if f, ok := s.keys["env_file"]; ok {
		nodes := []*yaml.Node{f.value}
		if f.value.Kind == yaml.SequenceNode {
			nodes = s.items(f.value)
		}
		for _, one := range nodes {
			s.readEnvFile(one)
		}
	}
	f, ok := s.keys["environment"]
	switch {
	case ok && f.value.Kind == yaml.SequenceNode:
		for _, one := range s.items(f.value) {
			if text, ok := s.value(one, "environment"); ok {
				name, value, set := strings.Cut(text, "=")
				s.setVariable(one, name, value, set)
			}
		}
	case ok:
		for _, one := range s.fields(f.value, "environment") {
			if value, ok := s.text(one.value, one.key.Value); ok {
				s.setVariable(one.key, one.key.Value, value, !isNull(one.value))
			}
		}
	}
}

// setVariable declares a variable. Without a value it is passed on from the
// caller, and not set at all where the caller has none.
func (s *draft) setVariable(n *yaml.Node, name, value string, set bool) {
	if name == "" || strings.ContainsAny(name, "=\x00 \t\n") {
		s.wrong(n, "write NAME: value, or - NAME=value in a list", "%q is not a name for a variable", name)
		return
	}
	scope := s.part(n.Line).scope
	delete(s.secret, name)
	switch {
	case set:
		s.environment[name], s.origins[name] = value, s.position(n)
	case scope.values[name] != "":
		s.environment[name] = scope.values[name]
		delete(s.origins, name) // without one it is what the service inherits anyway
		if origin := scope.origins[name]; origin != "" {
			s.origins[name] = origin
		}
	default:
		delete(s.environment, name)
		delete(s.origins, name)
	}
}

// readEnvFile reads one entry of env_file: a path, or {path, required}.
func (s *draft) readEnvFile(n *yaml.Node) {
	required := true
	if n.Kind == yaml.MappingNode {
		keys := s.known(n, "env_file", []string{"path", "required"}, nil)
		if f, ok := keys["required"]; ok {
			required = s.boolean(f)
		}
		f, ok := keys["path"]
		if !ok {
			s.wrong(n, "write {path: .env, required: false}", "env_file has no path")
			return
		}
		n = f.value
	}
	path, ok := s.value(n, "env_file")
	if !ok {
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.directory(n), path)
	}
	s.envFiles = append(s.envFiles, filepath.Clean(path))
	_, err := os.Stat(path)
	if err != nil && !required {
		return
	}
	settings, err := s.envFile(path, s.part(n.Line).scope.lookup)
	if err != nil {
		s.wrong(n, "create it, or write {path: "+n.Value+", required: false}", "env_file %s %s", n.Value, err)
	}
	for name, one := range settings {
		s.environment[name], s.secret[name] = one.value, true
		s.origins[name] = path + ":" + strconv.Itoa(one.line)
	}
}

// addURLs gives the service the addresses of those it depends on:
// STEAD_<NAME>_URL of the first port, STEAD_<NAME>_<PORT>_URL of each. What
// the service declares itself stands.
func (s *draft) addURLs(all drafts) {
	s.spec.Environment = map[string]string{}
	owner := map[string]string{}
	for _, n := range s.needs {
		for i, p := range all.byName[n.Service].ports {
			names := []string{"STEAD_" + variable(n.Service) + "_" + variable(p.Name) + "_URL"}
			if i == 0 {
				names = append(names, "STEAD_"+variable(n.Service)+"_URL")
			}
			for _, name := range names {
				if first := owner[name]; first != "" && first != n.Service {
					s.warn(n.at, "rename one of the two, or declare the variable in environment", "$%s is that of %s, and not of %s too", name, first, n.Service)
					continue
				}
				owner[name], s.spec.Environment[name] = n.Service, all.byName[n.Service].url(p)
				if _, declared := s.environment[name]; !declared {
					s.origins[name] = OriginStead
				}
			}
		}
	}
	maps.Copy(s.spec.Environment, s.environment)
}

// variable is a name as part of a variable's.
func variable(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		if r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}
