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
	fd, address, err := socket(host, port)
	if err != nil {
		return false, errors.Is(err, unix.EAFNOSUPPORT) // a machine without IPv6
	}
	defer unix.Close(fd)
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

// tryBind tells whether a port of the loopback can be bound, as net.Listen would:
// also while connections of an earlier listener linger, and not beside one that
// listens. It costs a quarter of net.Listen.
func tryBind(host string, port int) error {
	fd, address, err := socket(host, port)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	return unix.Bind(fd, address)
}

// socket makes one for TCP that does not block, and is not inherited.
func socket(host string, port int) (int, unix.Sockaddr, error) {
	family, address := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	if host == "::1" {
		family, address = unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|nonblockCloexec, 0)
	if err != nil {
		return -1, nil, err
	}
	if nonblockCloexec == 0 { // no such flags here, see knock_darwin.go
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			unix.Close(fd)
			return -1, nil, err
		}
	}
	return fd, address, nil
}
