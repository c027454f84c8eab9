//go:build unix

package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/stead-dev/stead/runtime"
)

// Make creates the home's directories, for their owner only. It refuses one
// that somebody else owns or may write to: who can write there can be the
// daemon. It may be called again and by several processes at once.
func (h Home) Make() error {
	dirs := []string{h.State, h.Logs}
	// In /tmp anybody may have been first with a link of this name.
	if root := fallbackRoot(os.Geteuid()); filepath.Dir(h.Run) == root {
		if err := makeOwn(root, os.Lstat); err != nil {
			return err
		}
	}
	for _, dir := range dirs {
		if err := makeOwn(dir, os.Stat); err != nil {
			return err
		}
	}
	if err := makeOwn(h.Run, os.Lstat); err != nil {
		return err
	}
	// Whoever may look into Run may connect to what listens there, on systems
	// where the mode of the socket itself means nothing.
	if err := os.Chmod(h.Run, 0o700); err != nil {
		return explainMake("make "+h.Run+" private", err)
	}
	return nil
}

// makeOwn creates dir and its parents, and checks with stat that it belongs
// to this user alone.
func makeOwn(dir string, stat func(string) (fs.FileInfo, error)) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return explainMake("make "+dir, err)
	}
	info, err := stat(dir)
	if err != nil {
		return fmt.Errorf("check %s: %w", dir, err)
	}
	if !info.IsDir() {
		return runtime.WithHint(fmt.Errorf("use %s: it is not a directory: %w", dir, runtime.Conflict),
			"move it away, or set STEAD_HOME to another directory")
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if uid := os.Geteuid(); ok && int(owner.Uid) != uid {
		return runtime.WithHint(
			fmt.Errorf("use %s: it belongs to user %d, not to user %d: %w", dir, owner.Uid, uid, runtime.Conflict),
			"run stead as that user, or set STEAD_HOME to a directory of your own")
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return runtime.WithHint(
			fmt.Errorf("use %s: other users may write to it (mode %04o): %w", dir, perm, runtime.Conflict),
			"run: chmod go-w "+dir)
	}
	return nil
}

// explainMake says what stands behind the common reasons for which a
// directory cannot be made, or made private.
func explainMake(what string, err error) error {
	hint, class := "set STEAD_HOME to a directory that stead may use", error(runtime.Invalid)
	switch {
	case errors.Is(err, syscall.EROFS):
		hint = "the file system is read-only: set STEAD_HOME to a directory on one that is not"
	case errors.Is(err, syscall.ENOSPC):
		hint, class = "the disk is full: make room, or set STEAD_HOME to a directory on another one", runtime.Unavailable
	}
	return runtime.WithHint(fmt.Errorf("%s: %w: %w", what, err, class), hint)
}
