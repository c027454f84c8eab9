//go:build unix

package main

import (
	"errors"
	"syscall"
)

// detached is how a process is started that has nothing to do with this
// terminal any more (setsid(2)).
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// become replaces this process by another program.
func become(path string, args, environment []string) error {
	return syscall.Exec(path, args, environment)
}

// runs reports whether there is a process of that pid that lives; 0 is none.
// One that is dead may wait long to be reaped, in a container whose first
// process does not care even for ever.
func runs(pid int32) bool {
	return pid > 0 && !errors.Is(syscall.Kill(int(pid), 0), syscall.ESRCH) && !defunct(int(pid))
}
