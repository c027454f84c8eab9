package burst

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var percent, freed atomic.Int64
		b := newBurst(50, 100, func(n int) int { percent.Store(int64(n)); return 0 }, func() { freed.Add(1) })
		expect := func(when string, wantPercent, wantFreed int64) {
			t.Helper()
			synctest.Wait()
			if p, f := percent.Load(), freed.Load(); p != wantPercent || f != wantFreed {
				t.Errorf("%s: %d %%, freed %d times; want %d %%, %d times", when, p, f, wantPercent, wantFreed)
			}
		}
		expect("it begins", 100, 0)
		for range crowd - 1 {
			b.Begin()
		}
		time.Sleep(quiet)
		expect("a few", 50, 0)
		for range crowd {
			b.Begin()
			time.Sleep(quiet / 2)
		}
		expect("a burst", 100, 0)
		b.Begin()
		time.Sleep(quiet / 2)
		expect("it goes on", 100, 0)
		time.Sleep(quiet)
		expect("it is over", 50, shrinks)
		b.Begin()
		time.Sleep(quiet)
		expect("one more", 50, shrinks)
	})
}
