package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// pollable returns a terminal's master whose deadlines and Close interrupt a
// Read. pty.Open has called Fd on the one it returns, which put it into
// blocking mode for good.
func pollable(opened *os.File) (*os.File, error) {
	defer opened.Close()
	fd, err := unix.FcntlInt(opened.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), opened.Name()), nil
}
