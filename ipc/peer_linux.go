package ipc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// peerUID returns the user at the other end (SO_PEERCRED, unix(7)): who it was
// at connect. The pid in the same answer may be another process by now, so it
// is not used.
func peerUID(conn syscall.RawConn) (uint32, error) {
	var cred *unix.Ucred
	var err error
	if ctl := conn.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); ctl != nil {
		return 0, ctl
	}
	if err != nil {
		return 0, err
	}
	return cred.Uid, nil
}
