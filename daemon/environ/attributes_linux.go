package environ

import "syscall"

// attributes: no terminal to read from, and a group to kill. The kernel ends
// the shell when the thread that started it does, and so with the daemon.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}
