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
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// FileName is what a manifest is called.
const FileName = "stead.yaml"

// environment is the name of the environment at home. Others are reached by
// what `environments` says of them, not by a spec made here.
const environment = "local"

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
}

// Project is a manifest, resolved. It survives encoding as JSON.
type Project struct {
	// ID is Name, a hyphen, and the first 8 hex digits of the SHA-256 of
	// Directory, so two checkouts never share one. It has no slash in it.
	ID        string
	Name      string // the manifest's, else the directory's made valid
	Directory string // of the manifest, with symbolic links resolved
	File      string
	Services  map[string]Service
	Order     []string // of all services: each after those it depends on
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
}

// Load reads the manifest that req names. The warnings are set also when
// there is an error. The error is runtime.Diagnostics with all errors at once,
// or NotFound with a hint when there is no manifest.
func Load(req Request) (*Project, []runtime.Diagnostic, error) {
	file, err := find(req)
	if err != nil {
		return nil, nil, err
	}
	text, err := readText(file)
	if err != nil {
		return nil, nil, runtime.Diagnostics{{File: file, Severity: runtime.SeverityError, Text: err.Error()}}
	}
	doc := newDocument(file, text, req.Environment)
	project := doc.project(req)
	warnings, errors := doc.findings()
	if len(errors) > 0 {
		return nil, warnings, errors
	}
	return project, warnings, nil
}
