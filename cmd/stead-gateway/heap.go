package main

import (
	goruntime "runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// busyPercent is the garbage collector's target while requests come one
	// after the other: 20 MB of heap at most instead of 4, and a tenth of the
	// CPU of each request less, as a small heap is collected twenty times a
	// second.
	busyPercent = 400
	busyCycles  = 8               // so many collections within busyTime are busy
	busyTime    = time.Second     //
	calmBytes   = 8 << 20         // less than this allocated within busyTime is calm
	largeHeap   = int64(16 << 20) // a heap that is used to this extent is collected seldom anyway
)

// heap gives the gateway room while it is busy, and takes it back when it is
// calm. It hears of each collection, so that it costs nothing per request, and
// nothing at all while nobody calls.
type heap struct {
	set   func(percent int) int
	free  func()
	state func() (used, allocated int64) // used as of the last collection

	mu     sync.Mutex // guards what follows
	began  time.Time  // of the cycles that are counted
	cycles int
	busy   bool
	last   int64 // allocated, when it was looked at last
}

func newHeap() *heap {
	return &heap{set: debug.SetGCPercent, free: debug.FreeOSMemory, state: heapState}
}

// watch has collected called after each collection, as long as the process
// lives.
func (h *heap) watch() {
	type sentinel struct{ _ [64]byte } // large enough to share its place with nobody
	goruntime.AddCleanup(&sentinel{}, func(h *heap) {
		h.collected()
		h.watch()
	}, h)
}

func heapState() (used, allocated int64) {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64()), int64(s[1].Value.Uint64())
}

func (h *heap) collected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy {
		return
	}
	if now := time.Now(); now.Sub(h.began) > busyTime {
		h.began, h.cycles = now, 0
	}
	if h.cycles++; h.cycles < busyCycles {
		return
	}
	used, allocated := h.state()
	if used >= largeHeap {
		return
	}
	h.busy, h.last = true, allocated
	h.set(busyPercent)
	time.AfterFunc(busyTime, h.look) // until it is calm
}

// look takes the room back when it is not used any more.
func (h *heap) look() {
	h.mu.Lock()
	defer h.mu.Unlock()
	used, allocated := h.state()
	calm := allocated-h.last < calmBytes
	h.last = allocated
	if !calm && used < largeHeap {
		h.set(busyPercent) // again: the end of a burst has set another one
		time.AfterFunc(busyTime, h.look)
		return
	}
	h.busy, h.cycles = false, 0
	h.set(gcPercent)
	if calm {
		h.free()
	}
}
