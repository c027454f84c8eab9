package main

import (
	"fmt"
	"net"
	"os"
	"time"
)

// announcements receives the datagrams by which services say that they
// listen, so that nothing has to be polled.
type announcements struct {
	conn *net.UnixConn
	path string
}

func listen() (*announcements, error) {
	dir, err := os.MkdirTemp("", "ann")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		return nil, err
	}
	path := dir + "/s"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(1 << 20)
	return &announcements{conn, path}, os.Chmod(path, 0o777)
}

// wait returns when n services have announced themselves; it fails when none
// does for as long as limit.
func (a *announcements) wait(n int, limit time.Duration) error {
	buf := make([]byte, 64)
	for i := range n {
		if err := a.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
			return err
		}
		if _, err := a.conn.Read(buf); err != nil {
			return fmt.Errorf("%d of %d services have announced that they listen, and none for %v: %w", i, n, limit, err)
		}
	}
	return nil
}

// forget drops what was announced and not waited for.
func (a *announcements) forget() {
	_ = a.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	for buf := make([]byte, 64); ; {
		if _, err := a.conn.Read(buf); err != nil {
			return
		}
	}
}

func (a *announcements) close() {
	_ = a.conn.Close()
	_ = os.RemoveAll(a.path[:len(a.path)-2])
}
