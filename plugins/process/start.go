package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// Start implements runtime.Runtime.
func (r *Runtime) Start(_ context.Context, spec runtime.Spec) (runtime.Handle, error) {
	if err := validate(&spec); err != nil {
		return runtime.Handle{}, fmt.Errorf("start %s: %w", spec.ID.Label(), err)
	}
	if err := r.cgroups.limitable(spec.Limits); err != nil {
		return runtime.Handle{}, fmt.Errorf("start %s: %w", spec.ID.Label(), err)
	}
	hash := spec.Hash()
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.lost[spec.ID]
	if k := r.keepers[spec.ID]; k != nil {
		known, ok = k.hash, true
	}
	switch {
	case r.closing:
		return runtime.Handle{}, fmt.Errorf("start %s: %w: %w", spec.ID.Label(), errClosing, runtime.Unavailable)
	case ok && known == hash:
		return handle(spec.ID), nil
	case ok:
		return runtime.Handle{}, fmt.Errorf("start %s: another spec has this number already: %w", spec.ID.Label(), runtime.Conflict)
	}
	if err := r.listeners.hold(spec.ID, spec.Sockets); err != nil {
		return runtime.Handle{}, fmt.Errorf("start %s: %w", spec.ID.Label(), err)
	}
	if !slices.Equal(r.shared, spec.Inherited) {
		r.shared = spec.Inherited
	}
	spec.Inherited = r.shared // one copy for all that come from one caller: it is several KB
	k := newKeeper(r, &spec, hash)
	r.keepers[spec.ID] = k
	r.records.generation(spec.ID, hash)
	k.publish()
	r.work.Add(1) // until its end
	k.post(fact{kind: factBegin})
	return handle(spec.ID), nil
}

// Stop implements runtime.Runtime. There is no traffic that this runtime
// routes itself, so Drain has nothing to wait for.
func (r *Runtime) Stop(_ context.Context, id runtime.ID, how runtime.StopRequest) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.keepers[id]; k != nil {
		select {
		case <-k.finished:
		default:
			k.post(fact{kind: factStop, stop: how})
		}
		return nil
	}
	if _, ok := r.lost[id]; ok {
		return nil
	}
	return fmt.Errorf("stop %s: no such generation: %w", id, runtime.NotFound)
}

// Forget implements runtime.Runtime.
func (r *Runtime) Forget(_ context.Context, sequence uint64) error {
	for _, id := range r.journal.Forget(sequence) {
		r.mu.Lock()
		k := r.keepers[id]
		delete(r.keepers, id)
		delete(r.lost, id)
		r.mu.Unlock()
		if k != nil {
			<-k.finished // at any moment: its end has been told
			k.releasePorts()
		}
		r.records.forget(id)
		if err := os.RemoveAll(snapshotDir(r.options.Dir, id)); err != nil {
			r.log.Warn("remove a snapshot", "gen", id.String(), "err", err)
		}
	}
	return nil
}

// validate refuses what can never run.
func validate(spec *runtime.Spec) error {
	invalid := func(hint, format string, args ...any) error {
		return runtime.WithHint(fmt.Errorf(format+": %w", append(args, runtime.Invalid)...), hint)
	}
	if spec.ID.Service == "" || spec.ID.Number == 0 {
		return invalid("number generations from 1", "incomplete generation id %q", spec.ID.String())
	}
	if len(spec.Command) == 0 || spec.Command[0] == "" {
		return invalid("say what to run: command: bin/web", "the command is empty")
	}
	for _, arg := range spec.Command {
		if strings.ContainsRune(arg, 0) {
			return invalid("arguments end at a NUL", "the command has a NUL byte in it")
		}
	}
	if !filepath.IsAbs(spec.Dir) {
		return invalid("give the absolute path of the service's directory", "the directory %q is not absolute", spec.Dir)
	}
	if spec.Replicas < 1 {
		return invalid("1 is one process", "%d replicas", spec.Replicas)
	}
	if _, ok := signalNamed(spec.Stop.Signal); !ok {
		return invalid("use a name like TERM, INT or QUIT", "unknown stop signal %q", spec.Stop.Signal)
	}
	if l := spec.Limits; l.Memory < 0 || l.MilliCPU < 0 || l.PIDs < 0 {
		return invalid("0 is no limit", "a limit is negative")
	}
	switch spec.Restart.Policy {
	case "", runtime.RestartNo, runtime.RestartOnFailure, runtime.RestartAlways:
	default:
		return invalid("use no, on-failure or always", "unknown restart policy %q", spec.Restart.Policy)
	}
	if err := validatePorts(spec, invalid); err != nil {
		return err
	}
	if err := validateSockets(spec, invalid); err != nil {
		return err
	}
	return validateProbes(spec, invalid)
}

func validatePorts(spec *runtime.Spec, invalid func(hint, format string, args ...any) error) error {
	seen := map[string]bool{}
	for _, p := range spec.Ports {
		switch {
		case p.Name == "" || seen[p.Name]:
			return invalid("give each port a name of its own", "port name %q is empty or used twice", p.Name)
		case p.Number < 0 || p.Number > 65535:
			return invalid("ports go from 1 to 65535", "port %s has the number %d", p.Name, p.Number)
		}
		seen[p.Name] = true
	}
	return nil
}
