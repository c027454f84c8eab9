package process

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// launcher forks from a thread that has a descriptor table of its own, almost
// empty. A fork copies the table of the thread that forks, and exec closes
// the copy: with the pipes and sockets of a thousand services that is a third
// of a millisecond for each start. What a child is given, the thread takes
// from the process's table by pidfd_getfd(2).
//
// The numbers in the thread's table are its own. So nothing but this file may
// run on it, and what Go's runtime does on any thread, to wait for its poller
// and to wake it, must find the poller's descriptors at their numbers: they
// stay in the table. A nil launcher forks from wherever it is called.
type launcher struct {
	keep  []int // the poller's descriptors, sorted
	calls chan *launch
	ended chan struct{}
}

// launch is one call of forkExec.
type launch struct {
	path string
	argv []string
	attr *syscall.ProcAttr
	pid  int
	err  error
	done chan struct{}
}

// newLauncher returns nil where there can be none: before Linux 5.9 there is
// no close_range(2), and a container's filter may refuse pidfd_getfd(2).
func newLauncher(log *slog.Logger) *launcher {
	keep, err := pollerFiles()
	if err == nil {
		l := &launcher{keep: keep, calls: make(chan *launch), ended: make(chan struct{})}
		settled := make(chan error)
		go l.run(settled) // ends with close, or at once
		if err = <-settled; err == nil {
			return l
		}
	}
	log.Debug("processes are forked with all descriptors", "err", err)
	return nil
}

// pollerFiles returns the descriptors of Go's poller, which exist from the
// first pipe or socket on.
func pollerFiles() ([]int, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	defer writer.Close()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	var all []int
	epoll := false
	for _, e := range entries {
		number, err := strconv.Atoi(e.Name())
		to, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && strings.HasPrefix(to, "anon_inode:[event") { // eventpoll, eventfd
			all, epoll = append(all, number), epoll || to == "anon_inode:[eventpoll]"
		}
	}
	if !epoll {
		return nil, errors.New("the poller's descriptors are not to be seen")
	}
	slices.Sort(all)
	return all, nil
}

// run is the thread: it ends with its goroutine, which never unlocks it.
func (l *launcher) run(settled chan<- error) {
	goruntime.LockOSThread()
	if unix.Gettid() == unix.Getpid() { // the table of the main thread is the process's
		defer goruntime.UnlockOSThread()
		instead := make(chan error)
		go l.run(instead) // on another thread: this one is held until that one has its own
		settled <- <-instead
		return
	}
	defer close(l.ended)
	process, err := l.leaveTable()
	settled <- err
	if err != nil {
		return
	}
	for one := range l.calls {
		one.pid, one.err = one.fork(process)
		close(one.done)
	}
}

// leaveTable gives the thread a table of its own, with the standard streams
// and the poller. It returns a pidfd by which the process's table is reached.
func (l *launcher) leaveTable() (int, error) {
	next := 3
	for _, fd := range append(slices.Clone(l.keep), math.MaxInt32) {
		if fd > next {
			if err := unix.CloseRange(uint(next), uint(fd-1), unix.CLOSE_RANGE_UNSHARE); err != nil {
				return -1, fmt.Errorf("close_range: %w", err)
			}
		}
		next = max(next, fd+1)
	}
	process, err := unix.PidfdOpen(unix.Getpid(), 0)
	if err != nil {
		return -1, fmt.Errorf("pidfd_open: %w", err)
	}
	fd, err := unix.PidfdGetfd(process, l.keep[0], 0) // may it?
	if err != nil {
		return -1, fmt.Errorf("pidfd_getfd: %w", err)
	}
	return process, unix.Close(fd)
}

// fork runs on the thread. Numbers in attr are of the process's table.
func (one *launch) fork(process int) (int, error) {
	var taken []int
	defer func() {
		for _, fd := range taken {
			unix.Close(fd)
		}
	}()
	take := func(number int) (int, error) {
		fd, err := unix.PidfdGetfd(process, number, 0)
		if err != nil {
			return -1, os.NewSyscallError("pidfd_getfd", err)
		}
		taken = append(taken, fd)
		return fd, nil
	}
	attr, sys := *one.attr, *one.attr.Sys
	attr.Sys, attr.Files = &sys, make([]uintptr, len(one.attr.Files))
	for i, number := range one.attr.Files {
		fd, err := take(int(number))
		if err != nil {
			return 0, err
		}
		attr.Files[i] = uintptr(fd)
	}
	if sys.UseCgroupFD {
		fd, err := take(sys.CgroupFD)
		if err != nil {
			return 0, err
		}
		sys.CgroupFD = fd
	}
	return syscall.ForkExec(one.path, one.argv, &attr)
}

// forkExec is syscall.ForkExec. attr.Sys is not nil.
func (l *launcher) forkExec(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	if l == nil {
		return syscall.ForkExec(path, argv, attr)
	}
	one := &launch{path: path, argv: argv, attr: attr, done: make(chan struct{})}
	l.calls <- one
	<-one.done
	return one.pid, one.err
}

// close ends the thread.
func (l *launcher) close() {
	if l != nil {
		close(l.calls)
		<-l.ended
	}
}
