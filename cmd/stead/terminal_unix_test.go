//go:build unix

package main

import "syscall"

// newTerminalSession makes stdin the controlling terminal, so that Ctrl-C
// and changes of its size become signals.
func newTerminalSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
}
