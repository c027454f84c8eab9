package process

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/sockets"
)

// borrowLimit is for one lender, of which there are two while a gateway is
// replaced: one that hangs must not keep a runtime from coming up. Thousands of
// sockets take some 20 ms.
const borrowLimit = 2 * time.Second

// borrow has the sockets that an earlier runtime had bound, from the processes
// of its that have duplicates: so they are open without a break, and callers
// wait in their queues until somebody accepts again. What settle, which is to
// be called when those processes have ended, does not keep is closed by the
// first Listen that does not name it.
func (r *Runtime) borrow() (settle func()) {
	if r.options.Sockets == "" {
		return func() {}
	}
	lenders := sockets.Lenders(filepath.Dir(r.options.Sockets))
	for _, path := range lenders {
		n, err := r.listeners.borrow(path)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED): // it has died some time ago
		case err != nil:
			r.log.Warn("sockets of an earlier runtime are lost", "lender", path, "err", err)
		default:
			r.log.Info("took over the sockets of an earlier runtime", "lender", path, "sockets", n)
		}
	}
	return func() {
		for _, path := range lenders {
			_ = os.Remove(path)
		}
		r.listeners.block()
	}
}

// borrow takes what one lender has, and says how many sockets that were.
func (l *listeners) borrow(path string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), borrowLimit)
	defer cancel()
	conn, err := sockets.Dial(path)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	names, err := conn.Names(ctx)
	if err != nil {
		return 0, err
	}
	files, err := conn.Fetch(ctx, names)
	n := 0
	for name, file := range files {
		if l.adopt(name, file) == nil {
			n++
		}
		file.Close() // what is kept is a duplicate, out of the poller
	}
	return n, err
}

// adopt keeps a duplicate of a socket that listens, under the name it was lent
// by, until a declared set says what it is for.
func (l *listeners) adopt(name string, file *os.File) error {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return err
	}
	address, err := acceptsAt(fd)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && l.bound[address] != nil {
		err = fmt.Errorf("%s is there already", address)
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	one := &boundSocket{address: address, fd: fd, users: map[runtime.ID]bool{}, lent: true}
	l.bound[address], l.named[name] = one, one
	return nil
}

// acceptsAt returns the address of a socket that accepts TCP connections: the
// kernel's word counts, not the lender's.
func acceptsAt(fd int) (netip.AddrPort, error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listens == 0 {
		return netip.AddrPort{}, errors.Join(err, errors.New("it does not listen"))
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)), nil
	}
	return netip.AddrPort{}, errors.New("it is not of TCP")
}

// block makes the sockets as bind makes them: whoever had them may have
// polled. It is too early while one still does.
func (l *listeners) block() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.bound {
		_ = unix.SetNonblock(one.fd, false)
	}
}
