package state

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

// Mounts are made in a process with a mount namespace of its own, which takes
// them along when it ends, however it ends.
func TestBadDisk(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs: root, to mount a small disk")
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=disk:"+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return
	}
	if cmd.ProcessState == nil || strings.Contains(string(out), "mount:") {
		t.Skipf("needs: the right to mount: %v %s", err, out)
	}
	t.Errorf("%v\n%s", err, out)
}

func badDisk(dir string) error {
	if err := fullDisk(filepath.Join(dir, "full")); err != nil {
		return fmt.Errorf("full disk: %w", err)
	}
	if err := fullAtFirst(filepath.Join(dir, "first")); err != nil {
		return fmt.Errorf("disk full from the start: %w", err)
	}
	if err := readOnly(filepath.Join(dir, "ro")); err != nil {
		return fmt.Errorf("read-only disk: %w", err)
	}
	return nil
}

func mount(dir, options string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
}

// is wants err to have a class, and a hint with a word.
func is(err, class error, word string) error {
	if !errors.Is(err, class) || !strings.Contains(runtime.Hint(err), word) {
		return fmt.Errorf("got %w (hint %q), want %w with a hint of %q", err, runtime.Hint(err), class, word)
	}
	return nil
}

// fill leaves no free byte in dir.
func fill(dir string) (string, error) {
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 512))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return "", err
	}
	return path, nil
}

func fullDisk(dir string) error {
	if err := mount(dir, "size=1m"); err != nil {
		return err
	}
	s, _, err := Open(dir, quiet)
	if err != nil {
		return err
	}
	if err := s.Commit(sample(20)); err != nil {
		return err
	}
	ballast, err := fill(dir)
	if err != nil {
		return err
	}
	big := sample(400)
	big.Boot = "too big"
	for range 3 { // the store stays as it was, also the second time
		if err := is(s.Commit(big), runtime.Unavailable, "full"); err != nil {
			return err
		}
		if err := holds(s, sample(20)); err != nil {
			return err
		}
	}
	s.Close()
	s, recovery, err := Open(dir, quiet) // a full disk is no reason to refuse to read
	if err != nil || recovery != (Recovery{}) {
		return fmt.Errorf("open on a full disk: %+v %w", recovery, err)
	}
	defer s.Close()
	if err := holds(s, sample(20)); err != nil {
		return err
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := s.Commit(sample(100)); err != nil {
		return fmt.Errorf("with space again: %w", err)
	}
	return holds(s, sample(100))
}

func holds(s *Store, b Batch) error {
	c, err := s.Load()
	if err != nil {
		return err
	}
	if d := cmp.Diff(contents(b), c); d != "" {
		return fmt.Errorf("contents (-want +have):\n%s", d)
	}
	return nil
}

func fullAtFirst(dir string) error {
	if err := mount(dir, "size=64k"); err != nil {
		return err
	}
	ballast, err := fill(dir)
	if err != nil {
		return err
	}
	_, _, err = Open(dir, quiet)
	if err := is(err, runtime.Unavailable, "full"); err != nil {
		return err
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "stead.db*")); left != nil {
		return fmt.Errorf("left behind: %v", left)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	s, recovery, err := Open(dir, quiet)
	if err != nil || recovery != (Recovery{}) {
		return fmt.Errorf("with space again: %+v %w", recovery, err)
	}
	return s.Close()
}

func readOnly(dir string) error {
	if err := mount(dir, "size=1m"); err != nil {
		return err
	}
	s, _, err := Open(dir, quiet)
	if err != nil {
		return err
	}
	if err := s.Commit(sample(3)); err != nil {
		return err
	}
	s.Close()
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	_, _, err = Open(dir, quiet)
	if err := is(err, runtime.Unavailable, "read-only"); err != nil {
		return err
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	s, recovery, err := Open(dir, quiet)
	if err != nil || recovery != (Recovery{}) {
		return fmt.Errorf("open when it can be written again: %+v %w", recovery, err)
	}
	defer s.Close()
	return holds(s, sample(3))
}
