package plugin

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"time"
)

// scopeLimit is how long systemd may take to make a scope. It takes
// milliseconds; a daemon whose system bus hangs must not wait for it.
const scopeLimit = 1500 * time.Millisecond

// scopeVariable tells a runtime that it is in a scope of its own, where
// SIGTERM can only mean that systemd ends the scope.
const scopeVariable = "STEAD_RUNTIME_SCOPE"

// scope puts systemd-run before argv: a scope of its own with a delegated
// cgroup. In the daemon's cgroup the runtime could not enable controllers, and
// the daemon's restart would fail with EBUSY. systemd-run registers the scope
// and then becomes argv: pid, session and files stay.
//
// A system that shuts down stops the scope after the daemon, which would take
// the runtime's end for a crash, and start another one.
func scope(argv []string) ([]string, error) {
	path, err := exec.LookPath("systemd-run")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil { // sd_booted(3)
		return nil, errors.New("systemd does not run here")
	}
	prefix := []string{path}
	if os.Getuid() != 0 {
		prefix = append(prefix, "--user")
	}
	prefix = append(prefix, "--scope", "--collect", "--quiet", "--no-ask-password",
		"--description=services of stead", "-p", "Delegate=yes", "-p", "Before=stead.service", "--")
	return append(prefix, argv...), nil
}

// inScope returns o with an environment that tells the runtime where it is.
func inScope(o LaunchOptions) LaunchOptions {
	if o.Env == nil {
		o.Env = os.Environ()
	}
	o.Env = append(slices.Clone(o.Env), scopeVariable+"=1")
	return o
}
