//go:build linux || darwin

package sockets

import (
	"log/slog"
	"net"
	"os"
)

// allowed lets in this process's user and root. The mode of the socket keeps
// others out already; this holds when somebody has changed it.
func allowed(conn *net.UnixConn, log *slog.Logger) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false // it has gone
	}
	var uid uint32
	if ctl := raw.Control(func(fd uintptr) { uid, err = peerUID(int(fd)) }); ctl != nil || err != nil {
		log.Warn("refused a client of the sockets whose user is not known", "err", err)
		return false
	}
	if uid != uint32(os.Geteuid()) && uid != 0 {
		log.Warn("refused a client of the sockets", "uid", uid)
		return false
	}
	return true
}
