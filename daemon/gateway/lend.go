package gateway

import (
	"maps"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Lender gives out duplicates of the listening sockets that a Server has, by
// address: to a runtime whose predecessor has died, and had bound them.
type Lender struct{ doors *doors }

// Lender returns the lender of the server's sockets.
func (s *Server) Lender() Lender { return Lender{s.rooms} }

// Names returns the addresses of all sockets that are had now.
func (l Lender) Names() []string {
	l.doors.mu.Lock()
	defer l.doors.mu.Unlock()
	return slices.Collect(maps.Keys(l.doors.at))
}

// Duplicate returns a descriptor of the socket with that address, which is the
// caller's to close; false if there is none.
func (l Lender) Duplicate(address string) (fd int, ok bool) {
	l.doors.mu.Lock()
	defer l.doors.mu.Unlock()
	open := l.doors.at[address]
	if open == nil {
		return 0, false
	}
	return duplicate(open.listener)
}

func duplicate(listener any) (fd int, ok bool) {
	c, ok := listener.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	ctl := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) })
	return fd, ctl == nil && err == nil
}
