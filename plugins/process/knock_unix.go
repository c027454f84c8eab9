package process

import (
	"errors"

	"golang.org/x/sys/unix"
)

// knock tells whether somebody accepts connections at a loopback address, as
// far as the kernel knows that at once: on the loopback the other side's answer
// is there when connect(2) returns, unless a backlog is full. Most attempts of a probe
// meet a process that does not listen yet. This costs a tenth of net.Dial, and
// a thousand services that start make some ten thousand of them.
func knock(host string, port int) (open, known bool) {
	family, address := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	if host == "::1" {
		family, address = unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|nonblockCloexec, 0)
	if err != nil {
		return false, errors.Is(err, unix.EAFNOSUPPORT) // a machine without IPv6
	}
	defer unix.Close(fd)
	if nonblockCloexec == 0 { // no such flags here, see knock_darwin.go
		unix.CloseOnExec(fd)
		if unix.SetNonblock(fd, true) != nil {
			return false, false
		}
	}
	err = unix.Connect(fd, address)
	if errors.Is(err, unix.EINPROGRESS) {
		err = outcome(fd)
	}
	return err == nil, err == nil || errors.Is(err, unix.ECONNREFUSED) || isNoRoute(err)
}

// outcome returns how a connect has ended, EINPROGRESS when it has not.
func outcome(fd int) error {
	ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
	if err != nil || ready == 0 {
		return unix.EINPROGRESS
	}
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || code == 0 {
		return err
	}
	return unix.Errno(code)
}
