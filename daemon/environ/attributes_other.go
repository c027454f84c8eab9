//go:build !linux

package environ

import "syscall"

// attributes: no terminal to read from, and a group to kill.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
