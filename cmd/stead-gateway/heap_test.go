package main

import (
	goruntime "runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRoomIsGivenWhileItIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var percent, freed, used, allocated atomic.Int64
		percent.Store(gcPercent)
		h := &heap{
			set:   func(n int) int { percent.Store(int64(n)); return 0 },
			free:  func() { freed.Add(1) },
			state: func() (int64, int64) { return used.Load(), allocated.Load() },
		}
		expect := func(when string, wantPercent, wantFreed int64) {
			t.Helper()
			synctest.Wait()
			if p, f := percent.Load(), freed.Load(); p != wantPercent || f != wantFreed {
				t.Errorf("%s: %d %%, freed %d times; want %d %%, %d times", when, p, f, wantPercent, wantFreed)
			}
		}
		work := func(pause time.Duration) {
			for range busyCycles {
				h.collected()
				time.Sleep(pause)
			}
		}
		work(busyTime / 2)
		expect("now and then", gcPercent, 0)
		time.Sleep(2 * busyTime)
		work(0)
		expect("busy", busyPercent, 0)
		percent.Store(gcPercent) // the end of a burst
		allocated.Add(calmBytes)
		time.Sleep(busyTime)
		expect("busy still", busyPercent, 0)
		time.Sleep(busyTime)
		expect("calm", gcPercent, 1)
		used.Store(largeHeap)
		work(0)
		expect("large", gcPercent, 1)
		used.Store(0)
		time.Sleep(2 * busyTime)
		work(0)
		used.Store(largeHeap)
		allocated.Add(calmBytes)
		time.Sleep(busyTime)
		expect("grown large", gcPercent, 1)
	})
}

// TestCollectionsAreHeardOf, one after the other.
func TestCollectionsAreHeardOf(t *testing.T) {
	heard := make(chan struct{})
	done := make(chan struct{})
	defer close(done)
	h := &heap{state: func() (int64, int64) {
		select {
		case heard <- struct{}{}:
		case <-done:
		}
		return largeHeap, 0
	}}
	h.watch()
	h.began, h.cycles = time.Now().Add(time.Hour), busyCycles // each one is looked at
	for n := 0; n < 2; {
		goruntime.GC() // more than one: the next is waited for a moment after it
		select {
		case <-heard:
			n++
		case <-time.After(time.Millisecond):
		}
	}
}
