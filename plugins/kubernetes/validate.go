package kubernetes

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// refuse is an error of a class, with what to do about it.
func refuse(class error, hint, format string, args ...any) error {
	return runtime.WithHint(fmt.Errorf(format+": %w", append(args, class)...), hint)
}

// validate refuses what can never run, and what a cluster cannot do.
func (r *Runtime) validate(spec *runtime.Spec) error {
	if spec.ID.Service == "" || spec.ID.Number == 0 {
		return refuse(runtime.Invalid, "number generations from 1", "incomplete generation id %q", spec.ID.String())
	}
	if spec.ID.Environment != r.environment || spec.ID.Project != r.project {
		return refuse(runtime.Invalid, "each environment of a project has a runtime of its own", "this runtime serves project %s in environment %s", r.project, r.environment)
	}
	if err := validateImage(spec, r.options.Packer != nil); err != nil {
		return err
	}
	if spec.Replicas < 1 {
		return refuse(runtime.Invalid, "1 is one pod", "%d replicas", spec.Replicas)
	}
	switch spec.Restart.Policy {
	case "", runtime.RestartNo, runtime.RestartOnFailure, runtime.RestartAlways:
	default:
		return refuse(runtime.Invalid, "use no, on-failure or always", "unknown restart policy %q", spec.Restart.Policy)
	}
	if _, ok := signalNumber(spec.Stop.Signal); !ok {
		return refuse(runtime.Invalid, "use a name like TERM, INT or QUIT", "unknown stop signal %q", spec.Stop.Signal)
	}
	if len(spec.Data) > 0 && spec.Replicas > 1 {
		return refuse(runtime.Unsupported, "give it one replica, or keep the data in a service of its own", "%d replicas cannot share the directories of data:", spec.Replicas)
	}
	for _, check := range []func(*runtime.Spec) error{validatePorts, validateLimits, validateData, validateProbes} {
		if err := check(spec); err != nil {
			return err
		}
	}
	return nil
}

func validateImage(spec *runtime.Spec, packs bool) error {
	switch {
	case spec.Image == "" && spec.Package == nil:
		return refuse(runtime.Invalid, "say image:, or build: something", "there is no image to run")
	case spec.Package == nil:
		return nil // the image may well say itself what it runs, and has directories of its own
	case !packs:
		return refuse(runtime.Unsupported, "say image:", "this runtime has nowhere to make images")
	case len(spec.Command) == 0 || spec.Command[0] == "":
		return refuse(runtime.Invalid, "say what to run: command: bin/web", "the command is empty")
	case !path.IsAbs(spec.Dir):
		return refuse(runtime.Invalid, "give the absolute path of the service's directory", "the directory %q is not absolute", spec.Dir)
	}
	return nil
}

func validatePorts(spec *runtime.Spec) error {
	if len(spec.Sockets) > 0 {
		return refuse(runtime.Unsupported, "leave out mode: inherit in this environment: a Service routes to each pod's own port", "sockets cannot be handed to a pod")
	}
	seen := map[string]bool{}
	for _, p := range spec.Ports {
		switch {
		case p.Name == "" || seen[p.Name]:
			return refuse(runtime.Invalid, "give each port a name of its own", "port name %q is empty or used twice", p.Name)
		case p.Number < 0 || p.Number > 65535 || p.Published < 0 || p.Published > 65535:
			return refuse(runtime.Invalid, "ports go from 1 to 65535", "port %s has the numbers %d and %d", p.Name, p.Number, p.Published)
		case p.Number > 0 && p.Number < 1024:
			return refuse(runtime.Unsupported, "listen on $PORT, or on one from 1024", "port %s: %d needs privileges that a pod does not get", p.Name, p.Number)
		}
		seen[p.Name] = true
	}
	return nil
}

func validateLimits(spec *runtime.Spec) error {
	for what, l := range map[string]runtime.Limits{"limit": spec.Limits, "request": spec.Requests} {
		if l.Memory < 0 || l.MilliCPU < 0 || l.PIDs < 0 {
			return refuse(runtime.Invalid, "0 is none", "a %s is negative", what)
		}
	}
	if spec.Limits.PIDs > 0 {
		return refuse(runtime.Unsupported, "leave it out here: the nodes' own limit holds (podPidsLimit of the kubelet)", "a cluster cannot limit the processes of one pod")
	}
	return nil
}

func validateData(spec *runtime.Spec) error {
	for name, at := range spec.Data {
		if name == "" || !path.IsAbs(at) {
			return refuse(runtime.Invalid, "name each directory, and say its absolute path in the container", "data %q at %q", name, at)
		}
	}
	return nil
}

func validateProbes(spec *runtime.Spec) error {
	if err := validateProbe("ready", spec, spec.Ready); err != nil {
		return err
	}
	return validateProbe("live", spec, spec.Live)
}

func validateProbe(what string, spec *runtime.Spec, p *runtime.Probe) error {
	if p == nil {
		return nil
	}
	switch p.Kind {
	case runtime.ProbeTCP, runtime.ProbeHTTP, runtime.ProbeGRPC:
		if !slices.ContainsFunc(spec.Ports, func(one runtime.Port) bool { return one.Name == p.Port }) {
			return refuse(runtime.Invalid, "name one of its ports", "%s asks port %q, which it does not have", what, p.Port)
		}
		if p.Kind == runtime.ProbeHTTP && !strings.HasPrefix(p.Path, "/") {
			return refuse(runtime.Invalid, "write GET /healthz", "%s asks for the path %q", what, p.Path)
		}
	case runtime.ProbeExec:
		if len(p.Command) == 0 || p.Command[0] == "" {
			return refuse(runtime.Invalid, "say what to run: exec: ./check", "%s runs an empty command", what)
		}
	case runtime.ProbeLog, runtime.ProbeNotify:
		return refuse(runtime.Unsupported, "use GET /healthz, tcp, grpc or exec in this environment", "%s: a kubelet asks by HTTP, TCP, gRPC or exec, and knows no %s", what, p.Kind)
	default:
		return refuse(runtime.Unsupported, "use GET /healthz, tcp, grpc or exec", "%s: unknown kind of probe %q", what, p.Kind)
	}
	return nil
}
