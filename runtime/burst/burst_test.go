package burst

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		percent, freed := 0, 0
		b := newBurst(50, 100, func(n int) int { percent = n; return 0 }, func() { freed++ })
		expect := func(when string, wantPercent, wantFreed int) {
			t.Helper()
			synctest.Wait()
			if percent != wantPercent || freed != wantFreed {
				t.Errorf("%s: %d %%, freed %d times; want %d %%, %d times", when, percent, freed, wantPercent, wantFreed)
			}
		}
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
		expect("it is over", 50, 1)
		b.Begin()
		time.Sleep(quiet)
		expect("one more", 50, 1)
	})
}
