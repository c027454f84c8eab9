package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// lock is an exclusive flock(2) on runtime.lock: the kernel releases it when
// the process ends, however that comes about. The file is never removed or
// renamed, for a lock is the inode's, not the name's.
type lock struct{ file *os.File }

// tryLock returns nil without an error when somebody else has the lock.
func tryLock(dir string) (*lock, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return &lock{file}, nil
	}
	file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", lockName, err)
}

func (l *lock) release() { l.file.Close() }

// lockPatience covers those who hold the lock for a moment only: a client that
// looks whether it is free, and a runtime that was killed and is not quite dead.
const lockPatience = 300 * time.Millisecond

// lockDir takes the lock for good; Conflict when a runtime has it.
func lockDir(ctx context.Context, dir string) (*lock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for tick := newTicker(); ; {
		l, err := tryLock(dir)
		if l != nil || err != nil {
			return l, err
		}
		if tick.wait(ctx) != nil {
			return nil, fmt.Errorf("another runtime has the lock: %w", runtime.Conflict)
		}
	}
}

// lockIsFree reports whether nobody has the lock.
func lockIsFree(dir string) (bool, error) {
	l, err := tryLock(dir)
	if l == nil {
		return false, err
	}
	l.release()
	return true, nil
}

// awaitLock waits until nobody has the lock.
func awaitLock(ctx context.Context, dir string) error {
	for tick := newTicker(); ; {
		if free, err := lockIsFree(dir); free || err != nil {
			return err
		}
		if err := tick.wait(ctx); err != nil {
			return fmt.Errorf("wait for %s: %w", lockName, err)
		}
	}
}

// ticker spaces the rounds of a polling loop: closely at first, for most
// things are there in a moment.
type ticker struct{ next time.Duration }

func newTicker() *ticker { return &ticker{time.Millisecond} }

func (t *ticker) wait(ctx context.Context) error {
	timer := time.NewTimer(t.next)
	defer timer.Stop()
	t.next = min(2*t.next, 20*time.Millisecond)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
