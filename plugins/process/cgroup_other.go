//go:build !linux

package process

import (
	"fmt"
	"log/slog"
	"syscall"

	"github.com/stead-dev/stead/runtime"
)

// cgroups and cgroup are Linux's; elsewhere both are always nil.
type (
	cgroups struct{}
	cgroup  struct{}
)

func newCgroups(string, *slog.Logger) *cgroups { return nil }

func (*cgroups) path() string { return "" }
func (*cgroups) close()       {}

func (c *cgroups) open(limits runtime.Limits) (*cgroup, error) { return nil, c.limitable(limits) }

// limitable returns why limits cannot be kept.
func (*cgroups) limitable(limits runtime.Limits) error {
	if limits == (runtime.Limits{}) {
		return nil
	}
	return runtime.WithHint(fmt.Errorf("limits need cgroups, which are Linux's alone: %w", runtime.Unsupported), "remove limits")
}

func (*cgroup) alone(int) bool    { return false }
func (*cgroup) kill()             {}
func (*cgroup) empty() bool       { return true }
func (*cgroup) remove()           {}
func (*cgroup) outOfMemory() bool { return false }

func (*cgroup) fork(l *launcher, path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	return l.forkExec(path, argv, attr)
}
