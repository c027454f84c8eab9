package state

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"syscall"

	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/stead-dev/stead/runtime"
)

// damage is an error that says the file is not what was written to it.
type damage struct{ text string }

func (d *damage) Error() string { return d.text }

func damaged(format string, args ...any) error {
	return &damage{fmt.Sprintf(format, args...)}
}

// guard calls fn and makes damage of a panic: bbolt panics on what it does
// not expect, and its memory map faults when the file was cut short.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged("%v", r)
		}
	}()
	return fn()
}

// The hints for what the operating system refuses.
var hints = []struct {
	errno syscall.Errno
	hint  string
}{
	{syscall.ENOSPC, "the disk is full: free some space under %s"},
	{syscall.EDQUOT, "the disk quota is used up: free some space under %s"},
	{syscall.EFBIG, "a file size limit (ulimit -f) forbids to write under %s"},
	{syscall.EROFS, "%s is on a read-only file system: set STEAD_HOME to a directory that can be written"},
	{syscall.EACCES, "%s must belong to the user that runs stead: see ls -ld"},
	{syscall.EPERM, "%s must belong to the user that runs stead: see ls -ld"},
	{syscall.EMFILE, "too many open files: raise ulimit -n; the state is in %s"},
	{syscall.ENFILE, "too many open files on this machine; the state is in %s"},
	{syscall.EIO, "the disk under %s cannot be read or written: see the kernel's log"},
	{syscall.EISDIR, "a file of stead's in %s is a directory: move it away"},
	{syscall.ENOTDIR, "%s is not a directory: move it away or set STEAD_HOME"},
}

// refused gives err a class and, where one is known, a hint.
func refused(what, dir string, err error) error {
	var broken *damage
	switch {
	case runtime.Class(err) != runtime.Internal:
		return fmt.Errorf("%s: %w", what, err)
	case errors.As(err, &broken):
		return runtime.WithHint(fmt.Errorf("%s: %w: %w", what, err, runtime.Internal),
			"start the daemon again: it will move the damaged file aside")
	case errors.Is(err, bolterrors.ErrTimeout):
		return runtime.WithHint(fmt.Errorf("%s: another process has opened the database: %w", what, runtime.Conflict),
			"find it with fuser "+dir+"/"+databaseName)
	}
	err = fmt.Errorf("%s: %w: %w", what, err, runtime.Unavailable)
	for _, h := range hints {
		if isErrno(err, h.errno) {
			return runtime.WithHint(err, fmt.Sprintf(h.hint, dir))
		}
	}
	return err
}

// isErrno also looks at the text: bbolt drops the error itself where it could
// not grow the file.
func isErrno(err error, errno syscall.Errno) bool {
	return errors.Is(err, errno) || strings.Contains(err.Error(), errno.Error())
}
