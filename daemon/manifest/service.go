package manifest

import (
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// serviceKeys are the keys of a service. Several are the Compose
// specification's other words for the same: see stop and terminal.
var serviceKeys = []string{
	"build", "command", "data", "depends_on", "drain", "env_file", "environment", "idle", "image", "kubernetes", "limits",
	"live", "liveness", "ports", "profiles", "ready", "ready_timeout", "reload", "replicas", "requests", "restart", "shell", "snapshot",
	"start", "stop", "stop_grace_period", "stop_signal", "success_exit_codes", "terminal", "tty", "watch", "working_dir",
}

// serviceLater says why other keys are not keys.
var serviceLater = map[string]string{
	"develop":        "write watch and reload",
	"healthcheck":    "write ready: GET /healthz, or live: GET /healthz to have a service restarted that hangs",
	"entrypoint":     "write it all as command",
	"volumes":        "write data: {name: ./directory}",
	"networks":       "services reach each other on this machine: read $STEAD_<NAME>_URL",
	"container_name": "a service is known by its key",
	"user":           "services run as you",
	"expose":         "write ports: {name: number}",
	"deploy":         "write replicas, limits and requests in the service itself",
	"scale":          "write replicas",
}

const (
	defaultReadyTimeout = time.Minute // long enough for a JVM on a busy laptop
	maxReplicas         = 1000
)

// A draft is a service while it is read: first by itself, then, when all are
// there, with what depends on others (finish).
type draft struct {
	*document
	name        string
	at          *yaml.Node // its name in the manifest
	keys        map[string]field
	spec        runtime.Spec
	plan        supervisor.Plan
	ports       []port
	needs       []need
	profiles    []string
	build       build
	image       image
	program     string            // what a package runs, relative to spec.Dir; empty: it is not of this directory
	secret      map[string]bool   // variables that an env file sets
	watch       Watch             // as written; Mode is empty when nothing is
	named       []*yaml.Node      // what watch names without a pattern
	data        []string          // patterns for its directories
	environment map[string]string // declared, without what stead adds
	envFiles    []string          // absolute
	origins     map[string]string // of the environment: see Service
	taken       map[string]int    // ports that somebody else has: see Service
}

func (d *document) draft(p *Project, f field) *draft {
	s := &draft{document: d, name: f.key.Value, at: f.key, taken: map[string]int{}}
	s.keys = d.known(f.value, "a service", serviceKeys, serviceLater)
	s.spec.ID = runtime.ID{Environment: s.where(), Project: p.ID, Service: s.name}
	s.spec.Dir = d.directory(f.key)
	if f, ok := s.keys["working_dir"]; ok {
		s.spec.Dir = s.path(f.value, "working_dir")
	}
	if f.value.Kind == yaml.MappingNode || isNull(f.value) {
		s.readCommand()
	}
	s.readBuild()
	s.readEnvironment()
	s.readPorts()
	s.readReady()
	s.readNeeds()
	s.readRestart()
	s.readSuccess()
	s.readLimits()
	s.readRequests()
	s.readStop()
	s.readData()
	s.readReload()
	s.readReplicas()
	s.readStart()
	s.readWatch()
	s.readImage()
	s.readPatch()
	if f, ok := s.keys["profiles"]; ok {
		s.readProfiles(f.value)
	}
	s.spec.Terminal = s.terminal()
	s.spec.Snapshot = s.build.command != nil // what nobody builds is not swapped under a running service either
	if f, ok := s.keys["snapshot"]; ok {
		s.spec.Snapshot = s.boolean(f)
	}
	s.settle()
	return s
}

func (s *draft) readProfiles(n *yaml.Node) {
	profiles, ok := s.texts(n, "profiles")
	for _, one := range profiles {
		ok = ok && s.document.name(n, "a profile", one)
	}
	s.profiles = profiles
}

// path returns a path that is relative to the file it is in, made absolute.
func (d *document) path(n *yaml.Node, what string) string {
	directory := d.directory(n)
	path, ok := d.value(n, what)
	if !ok {
		return directory
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(directory, path)
	}
	return filepath.Clean(path)
}

func (s *draft) terminal() bool {
	f, here := s.keys["terminal"]
	tty, compose := s.keys["tty"]
	switch {
	case here && compose:
		s.wrong(tty.key, "remove one of them", "terminal and tty are the same")
	case compose:
		return s.boolean(tty)
	case here:
		return s.boolean(f)
	}
	return false
}

// readData checks what the service says is its own. It keeps two generations
// from running at once; the directories themselves are the service's.
func (s *draft) readData() {
	f, ok := s.keys["data"]
	if !ok {
		return
	}
	for _, one := range s.fields(f.value, "data") {
		if s.document.name(one.key, "data", one.key.Value) {
			s.data = append(s.data, Literally(s.path(one.value, "data "+one.key.Value))+"/**")
		}
	}
}

func (s *draft) readReplicas() {
	s.spec.Replicas = 1
	if f, ok := s.keys["replicas"]; ok {
		s.spec.Replicas = s.whole(f, 1, maxReplicas)
	}
	s.plan.Replicas = s.spec.Replicas
}
