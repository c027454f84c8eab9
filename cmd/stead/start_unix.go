//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// detached is how a process is started that has nothing to do with this
// terminal any more (setsid(2)).
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// become replaces this process by another program.
func become(path string, args, environment []string) error {
	return syscall.Exec(path, args, environment)
}

// runs reports whether there is a process of that pid which has not ended; 0
// is none. One that nobody has reaped yet has: where /proc tells.
func runs(pid int32) bool {
	if pid <= 0 || errors.Is(syscall.Kill(int(pid), 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // proc_pid_stat(5): pid (name) state …
	if err != nil {
		return true
	}
	_, state, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte{' '})
	return !bytes.HasPrefix(state, []byte{'Z'})
}
