package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/daemon/environ"
	"github.com/stead-dev/stead/daemon/forward"
	"github.com/stead-dev/stead/daemon/manifest"
	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/split"
	"github.com/stead-dev/stead/supervisor"
)

// place is where a daemon's services run when that is not this machine: an
// environment of one manifest. It decides which cluster that is, and remembers
// to what the user has agreed.
type place struct {
	name      string // of the environment
	file      string // the manifest
	home      ipc.Home
	log       *slog.Logger
	lead      bool // bring all of it up without being asked: see standBy
	positions *split.Positions
	present   func() *daemon.Present // set before the daemon runs, as is forwards
	forwards  *forward.Forwards

	mu    sync.Mutex
	pin   pin
	moved chan struct{} // closed when pin is another one
}

// pin is the target in use. It survives the daemon.
type pin struct {
	manifest.Target
	Project string // its ID
	Own     bool   // the manifest names the context
	// Elsewhere is true from when the target became another one until the next
	// up: what ran once at the one before is to run here too.
	Elsewhere bool `json:",omitempty"`
	Agreed    bool // the user has agreed to it, where the manifest does not name it
}

// known reports whether there is one.
func (p pin) known() bool { return p.Name != "" }

// same reports whether both mean the same objects.
func (p pin) same(other pin) bool {
	return p.Project == other.Project && p.Kubeconfig == other.Kubeconfig && p.Context == other.Context && p.Namespace == other.Namespace
}

func (p pin) String() string {
	if p.Context == "" {
		return "namespace " + p.Namespace
	}
	return "context " + p.Context + ", namespace " + p.Namespace
}

// newPlace reads what was remembered.
func newPlace(name, file string, home ipc.Home, log *slog.Logger) (*place, error) {
	p := &place{name: name, file: file, home: home, log: log, positions: split.NewPositions(), moved: make(chan struct{})}
	text, err := os.ReadFile(p.path())
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p.pin)
	}
	if err != nil {
		return nil, runtime.WithHint(fmt.Errorf("read the target of %s: %w", name, err), "remove "+p.path()+" and agree to it anew by `stead --env "+name+" up`")
	}
	return p, nil
}

func (p *place) path() string { return filepath.Join(p.home.State, "target.json") }

// target returns the pin, and a channel that is closed when it is another one.
func (p *place) target() (pin, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pin, p.moved
}

// load reads the manifest for the environment, and makes sure of the target
// where something is to follow.
func (p *place) load(_ context.Context, req daemon.LoadRequest) (daemon.Loaded, error) {
	project, warnings, err := manifest.Load(p.request(req))
	if err != nil {
		return daemon.Loaded{}, err
	}
	if filepath.Dir(project.File) != filepath.Dir(p.file) {
		return daemon.Loaded{}, fmt.Errorf("this daemon is for %s, not for %s: %w", p.file, project.File, runtime.Conflict)
	}
	elsewhere := false
	if req.Purpose != daemon.PurposeCheck {
		if elsewhere, err = p.aim(*project.Target, project.ID, req); err != nil {
			return daemon.Loaded{}, err
		}
	}
	out, err := loaded(project, warnings, req)
	out.Elsewhere = elsewhere
	return out, err
}

func (p *place) request(req daemon.LoadRequest) manifest.Request {
	return manifest.Request{
		Directory: req.Directory, File: req.File, Sources: req.Sources, Environment: req.Environment,
		Profiles: req.Profiles, Target: p.name, Secret: environ.Secret,
	}
}

// aim makes a target the one in use, and reports whether what is known is of
// another one. It asks for the user's word where the
// manifest does not say which cluster, and refuses to leave behind what runs.
func (p *place) aim(to manifest.Target, project string, req daemon.LoadRequest) (elsewhere bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next, err := p.chosen(to, req.Environment)
	if err != nil {
		return false, err
	}
	next.Project = project
	if req.Purpose == daemon.PurposeApply && !next.Own && !next.Agreed {
		if req.Agreed == "" || req.Agreed != next.Context {
			return false, runtime.WithHint(
				fmt.Errorf("nobody has agreed to deploy %s to the context %q, which the manifest does not name: %w", p.name, next.Context, runtime.Conflict),
				"add --yes, or write context: "+next.Context+" into environments: "+p.name)
		}
		next.Agreed = true
	}
	elsewhere = p.pin.known() && !p.pin.same(next)
	if elsewhere {
		if names := p.running(); len(names) > 0 {
			return false, runtime.WithHint(
				fmt.Errorf("%s is %s now, but there is still something at %s (%s): %w", p.name, next, p.pin, strings.Join(names, ", "), runtime.Conflict),
				"stop it where it is: stead --env "+p.name+" down; or put back what was there in the manifest")
		}
	}
	next.Elsewhere = next.Elsewhere || elsewhere
	if req.Purpose == daemon.PurposeApply {
		elsewhere, next.Elsewhere = next.Elsewhere, false
	}
	return elsewhere, p.settle(next)
}

// chosen fills in what a manifest leaves open: as it was chosen before, else
// as kubectl would.
func (p *place) chosen(to manifest.Target, caller []string) (pin, error) {
	next := pin{Target: to, Own: to.Context != "", Elsewhere: p.pin.Elsewhere}
	remembered := p.pin.known() && p.pin.Namespace == to.Namespace && !p.pin.Own
	if to.Kubeconfig == "" && p.pin.known() {
		next.Kubeconfig = p.pin.Kubeconfig
	} else if to.Kubeconfig == "" {
		next.Kubeconfig = variableOf(caller, "KUBECONFIG")
	}
	if next.Own {
		return next, nil
	}
	if remembered && next.Kubeconfig == p.pin.Kubeconfig && p.pin.Agreed {
		next.Context, next.Agreed = p.pin.Context, true
		return next, nil
	}
	file := next.Kubeconfig
	if strings.ContainsRune(file, filepath.ListSeparator) {
		caller, file = append([]string{"KUBECONFIG=" + file}, caller...), ""
	}
	var err error
	next.Context, err = manifest.CurrentContext(file, caller)
	if err == nil && next.Context == "" && !inCluster() {
		err = runtime.WithHint(fmt.Errorf("no kubeconfig has a current context, and environment %s names none: %w", p.name, runtime.Invalid),
			"write context: and kubeconfig: into environments: "+p.name)
	}
	next.Agreed = next.Context == "" // there is no other cluster to be meant
	return next, err
}

// inCluster reports whether this daemon is a pod itself.
func inCluster() bool { return os.Getenv("KUBERNETES_SERVICE_HOST") != "" }

func variableOf(environment []string, name string) string {
	for _, one := range environment {
		if value, ok := strings.CutPrefix(one, name+"="); ok {
			return value
		}
	}
	return ""
}

// running are the services that are not over.
func (p *place) running() []string {
	var names []string
	present := p.present()
	for name, s := range present.State.Services {
		if slices.ContainsFunc(s.Generations, func(g supervisor.Generation) bool { return !g.Phase.Final() }) {
			names = append(names, name.Service)
		}
	}
	slices.Sort(names)
	return names
}

// settle remembers a target, and has the runtime found anew if it is another.
func (p *place) settle(next pin) error {
	text, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode the target of %s: %w", p.name, err)
	}
	before, err := json.Marshal(p.pin)
	if err == nil && string(before) == string(text) {
		return nil
	}
	temporary := p.path() + ".new"
	if err := os.WriteFile(temporary, text, 0o600); err != nil {
		return fmt.Errorf("remember the target of %s: %w", p.name, err)
	}
	if err := os.Rename(temporary, p.path()); err != nil {
		return fmt.Errorf("remember the target of %s: %w", p.name, err)
	}
	served := arguments(p.pin, "", "") == arguments(next, "", "")
	p.pin = next
	if !served {
		close(p.moved)
		p.moved = make(chan struct{})
	}
	return nil
}

// next is the target that an `up` with this manifest would use.
func (p *place) next(to manifest.Target, caller []string) (pin, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.chosen(to, caller)
}
