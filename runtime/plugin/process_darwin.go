package plugin

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// socketPathMax is the size of sun_path, its closing NUL included (unix(4)).
const socketPathMax = 104

// bootID tells one boot of this machine from another.
func bootID() (string, error) { return unix.Sysctl("kern.bootsessionuuid") }

// zombie is SZOMB of <sys/proc.h>.
const zombie = 5

// startTime tells a process from a later one with the same pid. A process that
// is dead and only waits to be reaped is os.ErrProcessDone.
func startTime(pid int) (string, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return "", err
	}
	if info.Proc.P_stat == zombie {
		return "", os.ErrProcessDone
	}
	at := info.Proc.P_starttime
	return fmt.Sprintf("%d.%06d", at.Sec, at.Usec), nil
}

// kill ends the process with that pid and start time. There is no pidfd on
// macOS: between the comparison and the signal the pid could become another
// process's, though pids come round only after thousands of others.
func kill(pid int, start string) error {
	if now, err := startTime(pid); err != nil || now != start {
		return nil // it is gone
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill %d: %w", pid, err)
	}
	return nil
}
