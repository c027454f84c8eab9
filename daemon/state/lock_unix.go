//go:build unix

package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

// acquire takes the lock file at path, which then holds our pid. The kernel
// lets go of the lock when the process ends, however it ends.
//
// The lock is a file of its own because bbolt's is on the database, which is
// compacted and moved aside: two daemons could each lock a file of that name.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, refused("open lock file", filepath.Dir(path), err)
	}
	if err := flock(f); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, taken(f)
		}
		return nil, refused("lock "+path, filepath.Dir(path), err)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, refused("write pid to "+path, filepath.Dir(path), err)
	}
	return f, nil
}

// lockPatience is how long the lock of a daemon that was killed may outlive
// it: the kernel gives it back when the last thread is gone, which under load
// takes longer than a new daemon takes to get here.
const (
	lockPatience = 500 * time.Millisecond
	lockPoll     = 5 * time.Millisecond
)

// flock waits for the lock of a daemon that is dying. Whether the holder is
// cannot be seen, and one that lives is only told of a little later.
func flock(f *os.File) error {
	limit := time.NewTimer(lockPatience)
	defer limit.Stop()
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-poll.C:
		case <-limit.C:
			return err
		}
	}
}

// taken is the error for a lock that somebody else holds.
func taken(f *os.File) error {
	who := "another daemon"
	text, _ := io.ReadAll(io.LimitReader(f, 32)) // the pid is only for people
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && pid > 0 {
		who += " (pid " + strconv.Itoa(pid) + ")"
	}
	return runtime.WithHint(
		fmt.Errorf("%s uses %s: %w", who, filepath.Dir(f.Name()), runtime.Conflict),
		"stop it with stead daemon stop, or give this one a STEAD_HOME of its own")
}

// release gives the lock back. The pid goes first, so that nobody reads it
// from a lock that is free. Closing alone would not do: a child that is
// between fork and exec has the descriptor too, and with it the lock.
func release(f *os.File) {
	_ = f.Truncate(0)
	_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	_ = f.Close()
}
