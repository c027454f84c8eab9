package plugin

import (
	"errors"
	"os"
	"os/exec"
)

// scope puts systemd-run before argv: a scope of its own with a delegated
// cgroup. In the daemon's cgroup the runtime could not enable controllers, and
// the daemon's restart would fail with EBUSY. systemd-run registers the scope
// and then becomes argv: pid, session and files stay.
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
	return append(append(prefix, "--scope", "-p", "Delegate=yes", "--quiet", "--"), argv...), nil
}
