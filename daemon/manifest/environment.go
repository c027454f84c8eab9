package manifest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// variables is what ${VAR} can be: the caller's environment, and below it the
// .env beside the manifest.
func (d *document) variables(environ []string) map[string]string {
	caller := map[string]string{}
	for _, one := range environ {
		if name, value, ok := strings.Cut(one, "="); ok && name != "" {
			caller[name] = value
		}
	}
	out := map[string]string{}
	file := filepath.Join(filepath.Dir(d.file), ".env")
	if _, err := os.Stat(file); err == nil {
		if out, err = d.envFile(file, caller); err != nil {
			d.keep(runtime.Diagnostic{File: file, Severity: runtime.SeverityError, Text: err.Error()})
		}
	}
	if out == nil {
		return caller
	}
	maps.Copy(out, caller)
	return out
}

var envFileLine = regexp.MustCompile(`^line (\d+): `)

// envFile reads KEY=VALUE lines. The error is that of reading; a finding in
// the file names its line but never shows it: such files hold secrets.
func (d *document) envFile(file string, env map[string]string) (map[string]string, error) {
	text, err := readText(file)
	if err != nil {
		return nil, err
	}
	out, err := dotenv.UnmarshalWithLookup(text, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		one := runtime.Diagnostic{File: file, Severity: runtime.SeverityError, Service: d.service,
			Text: "not a file of KEY=VALUE lines", Hint: "close its quotes, and name variables by letters, digits and _"}
		if m := envFileLine.FindStringSubmatch(err.Error()); m != nil {
			fmt.Sscan(m[1], &one.Line)
		}
		d.keep(one)
	}
	return out, nil
}

// readEnvironment fills in what the service declares: its files in the order
// written, over them its own variables.
func (s *draft) readEnvironment(directory string) {
	s.environment = map[string]string{}
	if f, ok := s.keys["env_file"]; ok {
		nodes := []*yaml.Node{f.value}
		if f.value.Kind == yaml.SequenceNode {
			nodes = s.items(f.value)
		}
		for _, one := range nodes {
			s.readEnvFile(one, directory)
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
	if !set {
		value, set = s.env[name], s.env[name] != ""
	}
	if set {
		s.environment[name] = value
	} else {
		delete(s.environment, name)
	}
}

// readEnvFile reads one entry of env_file: a path, or {path, required}.
func (s *draft) readEnvFile(n *yaml.Node, directory string) {
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
		path = filepath.Join(directory, path)
	}
	_, err := os.Stat(path)
	if err != nil && !required {
		return
	}
	variables, err := s.envFile(path, s.env)
	if err != nil {
		s.wrong(n, "create it, or write {path: "+n.Value+", required: false}", "env_file %s %s", n.Value, err)
	}
	maps.Copy(s.environment, variables)
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
				owner[name], s.spec.Environment[name] = n.Service, p.url()
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
