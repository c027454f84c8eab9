//go:build unix

package state

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A daemon that was killed lets go of its lock some milliseconds after it is
// gone for those who look; the one started in its place found it taken.
func TestLockOfADaemonThatIsDying(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, lockName))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	dead := time.AfterFunc(lockPatience/4, func() { f.Close() })
	defer dead.Stop()
	s, _, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
