package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// clock is that of the whole machine. It jumps while stead runs, and at the
// end it shows again what it would have shown.
type clock struct {
	began  time.Time // with a monotonic reading, which no jump touches
	offset time.Duration
	jumps  int
}

// farAway are the jumps, from the true time: by what a suspended laptop, a
// wrong time zone and a first answer of NTP do.
var farAway = []time.Duration{24 * time.Hour, -24 * time.Hour, 0, time.Hour, -90 * time.Second, 0, -time.Second}

// newClock refuses where somebody else looks at the clock.
func newClock() (*clock, error) {
	if os.Getenv("STEAD_THROWAWAY") == "" {
		return nil, errors.New("this mode sets the clock of the machine, so it wants one that is thrown away: see make uml, or set STEAD_THROWAWAY=1")
	}
	return &clock{began: time.Now()}, nil
}

// jump sets the clock to the next distance from the true time.
func (c *clock) jump() error {
	c.offset = farAway[c.jumps%len(farAway)]
	c.jumps++
	return c.set()
}

func (c *clock) set() error {
	now := c.began.Round(0).Add(time.Since(c.began)).Add(c.offset)
	at := syscall.NsecToTimeval(now.UnixNano())
	if err := syscall.Settimeofday(&at); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}

// end gives the machine its time back.
func (c *clock) end() error {
	c.offset = 0
	fmt.Printf("the clock was set %d times, by up to a day\n", c.jumps)
	return c.set()
}
