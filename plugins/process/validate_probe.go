package process

import (
	"fmt"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// complain makes an Invalid with a hint.
type complain func(hint, format string, args ...any) error

func validateProbes(spec *runtime.Spec, invalid complain) error {
	if spec.Live != nil && spec.Live.Kind == runtime.ProbeLog {
		return invalid("use http, tcp, grpc, exec or notify", "a line that was written does not say that the service still works")
	}
	if err := validateProbe(spec, spec.Ready, "ready", invalid); err != nil {
		return err
	}
	return validateProbe(spec, spec.Live, "live", invalid)
}

func validateProbe(spec *runtime.Spec, probe *runtime.Probe, name string, invalid complain) error {
	if probe == nil {
		return nil
	}
	if probe.Failures < 0 {
		return invalid("1 is the first", "the %s probe is to count after %d failures", name, probe.Failures)
	}
	switch probe.Kind {
	case runtime.ProbeTCP, runtime.ProbeHTTP, runtime.ProbeGRPC:
		return validateAsked(spec, probe, name, invalid)
	case runtime.ProbeExec:
		if len(probe.Command) == 0 || probe.Command[0] == "" {
			return invalid("say what to run: "+name+": \"exec: ./check\"", "the %s probe's command is empty", name)
		}
		return nil
	case runtime.ProbeLog:
		if probe.Text == "" {
			return invalid("say what the line contains: ready: \"log: listening\"", "the %s probe's text is empty", name)
		}
		if _, err := newEars(probe.Text); err != nil {
			return invalid("RE2 syntax: https://golang.org/s/re2syntax", "the %s probe: %s", name, err)
		}
		return nil
	case runtime.ProbeNotify:
		return nil
	}
	return runtime.WithHint(fmt.Errorf("%s probe %q: %w", name, probe.Kind, runtime.Unsupported),
		"use tcp, http, grpc, exec, log or notify")
}

// validateAsked is for probes that ask a port.
func validateAsked(spec *runtime.Spec, probe *runtime.Probe, name string, invalid complain) error {
	var names []string
	for _, p := range spec.Ports {
		if p.Name != probe.Port {
			names = append(names, p.Name)
			continue
		}
		if strings.ContainsAny(probe.Path, " \r\n") {
			return invalid("escape it: %20", "the %s path %q has a space or line end in it", name, probe.Path)
		}
		return nil
	}
	return invalid("ports of this service: "+strings.Join(names, ", "), "the %s probe asks the unknown port %q", name, probe.Port)
}
