package process

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/stead-dev/stead/runtime"
)

const snapshotsName = "snapshots"

// snapshotDir is where the executable of one generation is kept.
func snapshotDir(dir string, id runtime.ID) string {
	sum := sha256.Sum256([]byte(id.String()))
	return filepath.Join(dir, snapshotsName, hex.EncodeToString(sum[:8]))
}

// snapshot keeps the file that spec executes, so that a restart after a crash
// runs what this generation was started with although a newer build lies in
// its place. It returns the copy's path, or "" where there is nothing to keep:
//   - a file outside of Spec.Dir, symbolic links resolved, is not what the
//     project builds (/usr/bin/python, node): its next version is wanted;
//   - a script would find another directory in $0, and its interpreter reads
//     more files than this one.
//
// A hard link is as good as a copy since compilers write a new file and
// rename it. A tool that writes into the old file changes the link, too.
func snapshot(spec *runtime.Spec, dir, path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("snapshot: %w", err)
	}
	root, err := filepath.EvalSymlinks(spec.Dir)
	if err != nil {
		return "", fmt.Errorf("snapshot: %w", err)
	}
	below, err := filepath.Rel(root, real)
	if err != nil || below == ".." || strings.HasPrefix(below, "../") || interpreter(real) != "" {
		return "", nil
	}
	to := snapshotDir(dir, spec.ID)
	if err := os.MkdirAll(to, 0o700); err != nil {
		return "", fmt.Errorf("snapshot: %w", err)
	}
	file := filepath.Join(to, filepath.Base(path)) // ps and top show this name
	if os.Link(real, file) == nil {
		return file, nil
	}
	if err := copyExecutable(file, real); err != nil {
		_ = os.RemoveAll(to)
		return "", fmt.Errorf("snapshot: %w", err)
	}
	return file, nil
}

// copyExecutable holds the fork lock: a child forked meanwhile would hold the
// file open for writing, and its exec would fail with ETXTBSY.
func copyExecutable(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if e := out.Close(); err == nil {
		err = e
	}
	return err
}
