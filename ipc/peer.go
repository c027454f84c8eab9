package ipc

import (
	"log/slog"
	"net"
	"os"
	"syscall"
)

// peerListener lets in connections of this process's user and of root. The
// directory's mode keeps others out already; this holds when somebody has
// changed it.
type peerListener struct {
	net.Listener
	log *slog.Logger
	uid uint32 // who is let in, besides root
}

func newPeerListener(l net.Listener, log *slog.Logger) *peerListener {
	return &peerListener{Listener: l, log: log, uid: uint32(os.Geteuid())}
}

// Accept returns the next connection of somebody who is let in.
func (l *peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.allowed(conn) {
			return conn, nil
		}
		_ = conn.Close()
	}
}

func (l *peerListener) allowed(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		l.log.Warn("refused a connection that is no socket", "type", conn.LocalAddr().Network())
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		l.log.Warn("refused a connection", "err", err)
		return false
	}
	uid, err := peerUID(raw)
	if err != nil {
		l.log.Warn("refused a connection of an unknown user", "err", err)
		return false
	}
	if uid != l.uid && uid != 0 {
		l.log.Warn("refused a connection of another user", "uid", uid)
		return false
	}
	return true
}
