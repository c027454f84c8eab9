// Package manifest reads stead.yaml and resolves it: what comes out has no
// variable, alias, short form or default left in it.
//
// Everything wrong with a manifest is found in one reading, and each finding
// has its place (runtime.Diagnostic); only what cannot be parsed as YAML at
// all stops at the first error. The size of what is read and the work done on
// it are bounded, so a manifest may come from anywhere.
//
// Load reads files (the manifest, env_file, .env) and asks whether directories
// and commands exist; it writes nothing, starts nothing and keeps nothing.
// Its functions may be called concurrently; a Project is never changed after
// Load has returned it.
package manifest

import (
	"fmt"
	"io/fs"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// FileName is what a manifest is called.
const FileName = "stead.yaml"

// local is the name of the environment at home.
const local = "local"

// Request says which manifest to read and in whose name.
type Request struct {
	Directory   string   // absolute; FileName is looked for in it and its parents
	File        string   // absolute; instead of Directory
	Environment []string // KEY=VALUE of the caller: what ${VAR} is
	// Profiles that are on. They do not change what is returned: services that
	// they leave out are only spared the warnings about what exists on disk.
	Profiles []string
	// AutoPort answers `auto` with the number that was chosen for the port of
	// that service; project is the ID. It is called only for a manifest
	// without errors, and must give the same answer again.
	AutoPort func(project, service, port string) (int, error)
	// Taken says why a port that the manifest fixes cannot be had now, "" when
	// it can: it gets a number as for `auto`, with a warning. It is asked for
	// published numbers, and for those that a service insists on, where a
	// warning is all that can be done. nil: all can.
	Taken func(project, service, port string, number int) string
	// Gateway says that there is one to hold published ports. Without it
	// services listen on them themselves, and what needs one is refused.
	Gateway bool
	// Sources, when set, are read instead of the manifest's files, those of an
	// earlier Project: what is not among them is not there. Env files are read
	// from the disk always.
	Sources map[string]string
	// Remote are services that run somewhere else, with the addresses (host:port)
	// of their ports: what depends on them waits for nothing.
	Remote map[string]map[string]string
	// Target is the name of an environment of the manifest that the services
	// are resolved for; empty: for this machine. There AutoPort, Taken and
	// Gateway are not used.
	Target string
	// Secret tells variables that are for nobody to read, besides those of env
	// files; with Target. nil: none.
	Secret func(name, value string) bool
}

// Project is a manifest, resolved. It survives encoding as JSON.
type Project struct {
	// ID is Name, a hyphen, and the first 8 hex digits of the SHA-256 of
	// Directory, so two checkouts never share one; with a Target it is Name
	// alone, as they share that. It has no slash in it.
	ID        string
	Name      string // the manifest's, else the directory's made valid
	Directory string // of the manifest, with symbolic links resolved
	File      string
	// Sources are the texts of the manifest and of all that it is made of, by
	// path: see Request.
	Sources  map[string]string
	Services map[string]Service
	Order    []string // of all services: each after those it depends on
	// Environments are those that the manifest describes, in the order written;
	// Target is the one that the services are resolved for, nil: this machine.
	Environments []Target
	Target       *Target
}

// Service is one service, resolved.
type Service struct {
	Name string
	// Plan.Revision is Spec.Hash where there is no build, else a hash over
	// those of Spec and Build.
	Plan     supervisor.Plan
	Spec     runtime.Spec  // ID.Number is 0 and Inherited empty: the caller fills them in
	Build    *runtime.Spec // what is run before each start; nil: nothing. Log is the service
	Profiles []string      // keep it back, unless one of them is on
	URLs     []string      // of its ports, in the order written
	// Published are its ports as callers see them, in the order written. They
	// are outside of Plan.Revision as far as Spec does not have them.
	Published []Published
	Watch     Watch
	// EnvFiles are those of env_file, in the order written, absolute, also what
	// is not there and need not be; none where watch: none is written.
	EnvFiles []string
	// BuildTimeout is how long Build may take, and Matchers find in its output,
	// and in the service's, what the formats that are known anyway do not.
	BuildTimeout time.Duration
	Matchers     []Matcher
	// Origins says where each variable of Spec.Environment is from: file:line,
	// or OriginStead. One without is passed on from Request.Environment.
	Origins map[string]string
	// Taken has the numbers that the manifest fixes and Request.Taken refused,
	// by the name of the port.
	Taken map[string]int
}

// Find returns the path of the manifest that req names, or NotFound with a hint.
func Find(req Request) (string, error) { return find(req) }

// Load reads the manifest that req names. The warnings are set also when
// there is an error. The error is runtime.Diagnostics with all errors at once,
// or NotFound with a hint when there is no manifest.
func Load(req Request) (*Project, []runtime.Diagnostic, error) {
	file, read := req.File, readText
	if req.Sources != nil {
		read = from(req.Sources)
	} else {
		var err error
		if file, err = find(req); err != nil {
			return nil, nil, err
		}
	}
	text, err := read(file)
	if err != nil {
		return nil, nil, runtime.Diagnostics{{File: file, Severity: runtime.SeverityError, Text: err.Error()}}
	}
	doc := newDocument(file, text, req)
	doc.read = read
	project := doc.project(req)
	warnings, errors := doc.findings()
	if len(errors) > 0 {
		return nil, warnings, errors
	}
	return project, warnings, nil
}

// from reads texts that are at hand.
func from(sources map[string]string) func(file string) (string, error) {
	return func(file string) (string, error) {
		if text, ok := sources[file]; ok {
			return text, nil
		}
		return "", fmt.Errorf("was not there when the manifest was applied: %w", fs.ErrNotExist)
	}
}
