//go:build !linux

package process

import (
	"net"

	"golang.org/x/sys/unix"
)

// Datagrams do not say here who sent them: the directory of the socket keeps
// other users out, and that has to do.

func abstractName(string, uint64) string { return "" }

func askSender(*net.UnixConn) error { return nil }

// sender closes the files that came along.
func sender(control []byte) (pid int, known bool) {
	messages, _ := unix.ParseSocketControlMessage(control)
	for _, m := range messages {
		files, _ := unix.ParseUnixRights(&m)
		for _, fd := range files {
			unix.Close(fd)
		}
	}
	return 0, false
}

func truncated(flags int) bool { return flags&unix.MSG_TRUNC != 0 }

func (*children) belongs(int, *tree) bool { return true }
