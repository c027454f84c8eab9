// Package burst gives memory for CPU while much begins at once, and takes it
// back afterwards: a process of stead is there all day and should be small
// then, but when a thousand services start, collecting a small heap over and
// over is a fifth of what it does.
//
// A Burst may be used concurrently. It has no goroutine but that of a timer,
// for a moment at the end of each burst.
package burst

import (
	"runtime/debug"
	"sync"
	"time"
)

const (
	crowd = 32          // so many beginnings are a burst
	quiet = time.Second // without any of them it is over

	// shrinks is how often is collected then: each time halves the stacks that
	// goroutines do not need any more, and few need more than a quarter of
	// theirs.
	shrinks = 3
)

// Burst sets the garbage collector's target (GOGC) of this process.
type Burst struct {
	calm, busy int
	set        func(percent int) int
	free       func()

	mu    sync.Mutex
	begun int // since it was quiet
	over  *time.Timer
}

// New sets the target to busy: a process that begins has much to do. It is calm
// after that, and busy again during bursts.
func New(calm, busy int) *Burst {
	return newBurst(calm, busy, debug.SetGCPercent, debug.FreeOSMemory)
}

func newBurst(calm, busy int, set func(int) int, free func()) *Burst {
	set(busy)
	b := &Burst{calm: calm, busy: busy, set: set, free: free}
	b.over = time.AfterFunc(quiet, b.end)
	return b
}

// Begin says that something begins that will take memory.
func (b *Burst) Begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.begun++; b.begun == crowd {
		b.set(b.busy)
	}
	b.over.Reset(quiet)
}

// end collects, and gives back to the system what is not used any more.
func (b *Burst) end() {
	b.mu.Lock()
	was := b.begun >= crowd
	b.begun = 0
	b.set(b.calm)
	b.mu.Unlock()
	if was {
		for range shrinks {
			b.free()
		}
	}
}
