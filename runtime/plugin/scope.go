package plugin

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// scopeLimit is how long systemd may take to make a scope. It takes
// milliseconds; a daemon whose system bus hangs must not wait for it.
const scopeLimit = 1500 * time.Millisecond

// scopeVariable tells a runtime that it is in a scope of its own, where
// scopeSignal means that systemd stops the scope.
const scopeVariable = "STEAD_RUNTIME_SCOPE"

// scopeSignal is what systemd stops the scope with. It goes to every process in
// there, services too, which would end by SIGTERM, with 0 even, before the
// runtime knows why: that is a service which has completed, and is not started
// after the next login. SIGWINCH does nothing to who does not ask for it, and
// makes the few that do (nginx, Apache) stop with grace, which is meant.
const scopeSignal = syscall.SIGWINCH

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
		"--description=services of stead",
		"-p", "Delegate=yes", "-p", "Before=stead.service",
		"-p", "KillSignal="+strconv.Itoa(int(scopeSignal)), "--")
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
