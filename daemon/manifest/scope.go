package manifest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// A scope is what ${VAR} can be in a part of the manifest.
type scope struct {
	values  map[string]string
	origins map[string]string // file:line of those that are not the caller's
}

func (s *scope) lookup(name string) (string, bool) {
	value, ok := s.values[name]
	return value, ok
}

// callers is the scope of who reads the manifest.
func callers(environ []string) *scope {
	s := &scope{values: map[string]string{}}
	for _, one := range environ {
		if name, value, ok := strings.Cut(one, "="); ok && name != "" {
			s.values[name] = value
		}
	}
	return s
}

// envFilesOf are the env files beside a manifest, those that win first. The
// names are those of dotenv's other readers: .env.local, and .env.staging for
// the environment of that name.
func (d *document) envFilesOf(directory string) []string {
	return []string{filepath.Join(directory, ".env."+d.aimed), filepath.Join(directory, ".env")}
}

// scope adds env files below a scope: what it has stands, and so does what an
// earlier file has. Files that are not there add nothing.
func (d *document) scope(above *scope, files []string) *scope {
	s := &scope{values: map[string]string{}, origins: map[string]string{}}
	add := func(name, value, origin string) {
		if _, known := s.values[name]; known {
			return
		}
		s.values[name] = value
		if origin != "" {
			s.origins[name] = origin
		}
	}
	for name, value := range above.values {
		add(name, value, above.origins[name])
	}
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			continue
		}
		settings, err := d.envFile(file, s.lookup)
		if err != nil {
			d.keep(runtime.Diagnostic{File: file, Severity: runtime.SeverityError, Text: err.Error()})
		}
		for name, one := range settings {
			add(name, one.value, file+":"+strconv.Itoa(one.line))
		}
	}
	return s
}

// envFile reads an env file. The error is that of reading; a finding in the
// file names its line but never shows it: such files hold secrets.
func (d *document) envFile(file string, lookup func(string) (string, bool)) (map[string]setting, error) {
	text, err := readText(file)
	if err != nil {
		return nil, err
	}
	settings, err := readEnv(text, lookup, func(line int, name string) {
		d.keep(runtime.Diagnostic{File: file, Line: line, Severity: runtime.SeverityWarning, Service: d.service,
			Text: fmt.Sprintf("variable %q is not set, and taken as empty", name),
			Hint: "write $$" + name + " for a dollar sign, or put the value in single quotes"})
	})
	if wrong, ok := errors.AsType[*envError](err); ok {
		d.keep(runtime.Diagnostic{File: file, Line: wrong.line, Severity: runtime.SeverityError, Service: d.service,
			Text: wrong.text, Hint: wrong.hint})
	}
	return settings, nil
}
