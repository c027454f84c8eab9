package gateway

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// lookout says which listening sockets somebody has come to, so that those
// that nobody calls need no goroutine: a thousand services have two thousand
// sockets, and each goroutine would keep a stack of some KiB. It is an epoll
// instance (epoll(7)) that Go's own poller watches.
type lookout struct {
	file *os.File

	mu    sync.Mutex // guards what follows
	doors map[int32]*door
	last  int32
}

func newLookout() (*lookout, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(fd, true) // or Go would not poll it
	}
	if err != nil {
		return nil, fmt.Errorf("watch listening sockets: %w", err)
	}
	return &lookout{file: os.NewFile(uintptr(fd), "epoll"), doors: map[int32]*door{}}, nil
}

// add begins to look at a door, and says whether it can: arm must follow.
func (l *lookout) add(d *door) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	if d.control(l, unix.EPOLL_CTL_ADD, 0, l.last) != nil {
		return false
	}
	d.number = l.last
	l.doors[d.number] = d
	return true
}

// arm has run call for the door once, when somebody comes or has come.
func (l *lookout) arm(d *door) { _ = d.control(l, unix.EPOLL_CTL_MOD, unix.EPOLLIN, d.number) } // fails for one that is closed

// remove must come before the door's listener is closed: the runtime has the
// same socket, which would stay in the set.
func (l *lookout) remove(d *door) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.doors[d.number] == d {
		delete(l.doors, d.number)
		_ = d.control(l, unix.EPOLL_CTL_DEL, 0, d.number)
	}
}

// control changes what is looked at. Each event disarms (EPOLLONESHOT).
func (d *door) control(l *lookout, op int, events uint32, number int32) error {
	c, ok := d.listener.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	own, err := c.SyscallConn()
	if err != nil {
		return err
	}
	set, err := l.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = own.Control(func(fd uintptr) {
		event := unix.EpollEvent{Events: events | unix.EPOLLONESHOT, Fd: number}
		failed = errors.Join(set.Control(func(epoll uintptr) { err = unix.EpollCtl(int(epoll), op, int(fd), &event) }), err)
	})
	return errors.Join(err, failed)
}

// run calls fn for each armed door that somebody has come to, until close.
func (l *lookout) run(fn func(*door)) {
	set, err := l.file.SyscallConn()
	if err != nil {
		return // closed
	}
	events := make([]unix.EpollEvent, 64)
	for {
		n := 0
		err := set.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events, 0)
			return n > 0 // else Go waits until something is ready
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			l.mu.Lock()
			d := l.doors[e.Fd]
			l.mu.Unlock()
			if d != nil {
				fn(d)
			}
		}
	}
}

func (l *lookout) close() { _ = l.file.Close() }
