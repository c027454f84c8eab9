package gateway

import "golang.org/x/sys/unix"

// away says that the caller has closed its side, even where bytes of a body
// that nobody has read yet stand before that end (POLLRDHUP, poll(2)).
func (c *conn) away() bool { return c.poll(unix.POLLRDHUP) }

// reset says that the connection is broken. A caller that has only ended its
// side may still wait for an answer, which is usual in plain TCP.
func (c *conn) reset() bool { return c.poll(0) }

// poll says whether one of the events, or POLLHUP or POLLERR, has happened.
func (c *conn) poll(events int16) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	happened := false
	err = raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, 0)
		happened = err == nil && n > 0
	})
	return err != nil || happened
}
