//go:build !linux

package process

import (
	"log/slog"
	"syscall"
)

// cgroups and cgroup are Linux's; elsewhere both are always nil.
type (
	cgroups struct{}
	cgroup  struct{}
)

func newCgroups(string, *slog.Logger) *cgroups { return nil }

func (*cgroups) path() string  { return "" }
func (*cgroups) open() *cgroup { return nil }
func (*cgroups) close()        {}

func (*cgroup) kill()       {}
func (*cgroup) empty() bool { return true }
func (*cgroup) remove()     {}

func (*cgroup) fork(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	return syscall.ForkExec(path, argv, attr)
}
