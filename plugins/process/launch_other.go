//go:build !linux

package process

import (
	"log/slog"
	"syscall"
)

// launcher is Linux's; elsewhere it is always nil.
type launcher struct{}

func newLauncher(*slog.Logger) *launcher { return nil }

func (*launcher) close() {}

func (*launcher) forkExec(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	return syscall.ForkExec(path, argv, attr)
}
