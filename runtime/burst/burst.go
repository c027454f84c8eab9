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

// New sets the target to calm. It is busy during a burst.
func New(calm, busy int) *Burst {
	return newBurst(calm, busy, debug.SetGCPercent, debug.FreeOSMemory)
}

func newBurst(calm, busy int, set func(int) int, free func()) *Burst {
	set(calm)
	return &Burst{calm: calm, busy: busy, set: set, free: free}
}

// Begin says that something begins that will take memory.
func (b *Burst) Begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.begun++; b.begun == crowd {
		b.set(b.busy)
	}
	if b.over == nil {
		b.over = time.AfterFunc(quiet, b.end)
	} else {
		b.over.Reset(quiet)
	}
}

// end collects once, and gives back to the system what is not used any more.
func (b *Burst) end() {
	b.mu.Lock()
	was := b.begun >= crowd
	if b.begun = 0; was {
		b.set(b.calm)
	}
	b.mu.Unlock()
	if was {
		b.free()
	}
}
