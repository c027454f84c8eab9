//go:build unix

package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

// aliveTimeout bounds how long Listen waits to be let in by a socket that is
// there. A live daemon's kernel queue answers at once, so this only matters on
// a machine that is swapping.
const aliveTimeout = time.Second

// Listen listens on the Unix socket path, mode 0600, in a directory that
// Home.Make made. A socket somebody answers on is never taken: that is
// Conflict. One that was left behind is removed. Closing the listener removes
// the socket only when it still is the listener's own.
//
// The directory is locked (flock) while this looks and binds, so two daemons
// that start at once cannot both find the same socket dead.
func Listen(path string) (net.Listener, error) {
	if longest := longestSocketPath(goruntime.GOOS); len(path) > longest {
		return nil, runtime.WithHint(
			fmt.Errorf("listen on %s: the path has %d bytes, a socket's may have %d: %w", path, len(path), longest, runtime.Invalid),
			"set STEAD_HOME to a shorter path")
	}
	unlock, err := lockDir(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // it would remove whatever has the name by then
	// Between bind and chmod only the directory's mode protects the socket.
	// umask belongs to the whole process, so it cannot be set for a moment.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close(), os.Remove(path))
	}
	own, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close())
	}
	return &ownListener{UnixListener: l, path: path, own: own}, nil
}

// removeStale makes way for a socket at path, unless one there is in use.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return runtime.WithHint(fmt.Errorf("something that is no socket is in its place: %w", runtime.Conflict), "move it away")
	}
	conn, err := net.DialTimeout("unix", path, aliveTimeout)
	if err == nil {
		_ = conn.Close()
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED): // nobody listens any more
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist): // its owner has just removed it
		return nil
	case err == nil, errors.Is(err, syscall.EAGAIN), errors.Is(err, os.ErrDeadlineExceeded): // its queue is full: alive
		return runtime.WithHint(fmt.Errorf("a daemon is running there already: %w", runtime.Conflict),
			"end it with `stead daemon stop`, or set STEAD_HOME for a second, separate stead")
	}
	return err
}

// lockDir waits until this process alone works on the sockets in dir.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing is unlocking
}

// ownListener removes its socket on Close, if it still is its own.
type ownListener struct {
	*net.UnixListener
	path string
	own  fs.FileInfo

	once sync.Once
	err  error
}

func (l *ownListener) Close() error {
	l.once.Do(func() {
		l.err = l.UnixListener.Close()
		unlock, err := lockDir(filepath.Dir(l.path))
		if err != nil {
			return // the directory is gone, and the socket with it
		}
		defer unlock()
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.own) {
			l.err = errors.Join(l.err, os.Remove(l.path))
		}
	})
	return l.err
}
