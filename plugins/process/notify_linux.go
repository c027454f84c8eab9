package process

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// abstractName is a socket without a place in the file system (unix(7)), for
// where the path to ours would be too long. Who sent a message is checked.
func abstractName(nonce string, count uint64) string {
	return fmt.Sprintf("@stead-%.32s-%d", nonce, count)
}

// askSender makes the kernel say with each message who sent it.
func askSender(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	})
	if err != nil {
		return err
	}
	return failed
}

// sender returns the process that control says a message is from; 0 is none
// that can be seen from here. Files that came along (FDSTORE, and BARRIER,
// which waits for just that) are closed.
func sender(control []byte) (pid int, known bool) {
	messages, _ := unix.ParseSocketControlMessage(control)
	for _, m := range messages {
		if who, err := unix.ParseUnixCredentials(&m); err == nil {
			pid = int(who.Pid)
		}
		files, _ := unix.ParseUnixRights(&m)
		for _, fd := range files {
			unix.Close(fd)
		}
	}
	return pid, true
}

func truncated(flags int) bool { return flags&unix.MSG_TRUNC != 0 }

// belongs reports whether pid, alive or not reaped yet, is a process of t.
// This process is of none, although it wears the mark of the last one.
func (c *children) belongs(pid int, t *tree) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pid > 0 && pid != os.Getpid() && c.owner(pid) == t
}
