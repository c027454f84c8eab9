package process

import (
	"log/slog"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// endLeftovers ends the process groups of the recorded processes that still
// are the same: pid and start time. A child that started a session of its own
// is not found here.
func endLeftovers(old *recorded, _ map[string]string, log *slog.Logger) {
	if old.head.Nonce == "" || old.head.Boot != bootID() {
		return
	}
	for _, s := range old.processes() {
		if s.Start == 0 || startOf(s.PID) != s.Start {
			continue
		}
		if err := syscall.Kill(-s.PID, syscall.SIGKILL); err != nil {
			log.Warn("end a process of an earlier runtime", "pid", s.PID, "err", err)
		}
	}
}

// startOf is the identity of a process beside its pid: microseconds since
// 1970, 0 when there is none.
func startOf(pid int) uint64 {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return 0
	}
	t := info.Proc.P_starttime
	return uint64(t.Sec)*1e6 + uint64(t.Usec)
}

func bootID() string {
	t, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return ""
	}
	return strconv.FormatInt(t.Sec, 10)
}
