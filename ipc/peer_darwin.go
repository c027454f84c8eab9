package ipc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// peerUID returns the user at the other end (LOCAL_PEERCRED, unix(4)).
func peerUID(conn syscall.RawConn) (uint32, error) {
	var cred *unix.Xucred
	var err error
	if ctl := conn.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	}); ctl != nil {
		return 0, ctl
	}
	if err != nil {
		return 0, err
	}
	return cred.Uid, nil
}
