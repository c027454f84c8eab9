package process

import (
	"errors"

	"golang.org/x/sys/unix"
)

// knock tells whether somebody accepts connections at a loopback address, as
// far as the kernel knows that at once: on the loopback a connect has ended
// when the call returns, unless a backlog is full. Most attempts of a probe
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
	return err == nil, err == nil || errors.Is(err, unix.ECONNREFUSED) || isNoRoute(err)
}
