package plugin

import (
	"sync"
	"time"
)

// attendance counts the attached clients. When there was none for ttl, also
// not since it was made, empty is closed; ttl 0: never.
type attendance struct {
	ttl   time.Duration
	empty chan struct{}

	mu      sync.Mutex
	count   int
	since   int // rises with every change of count; tells a late timer from a current one
	expired bool
	timer   *time.Timer
}

func newAttendance(ttl time.Duration) *attendance {
	a := &attendance{ttl: ttl, empty: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change(0)
	return a
}

func (a *attendance) enter() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change(+1)
}

func (a *attendance) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change(-1)
}

// close stops the timer; empty is not closed any more.
func (a *attendance) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change(+1)
}

// change is called with mu held.
func (a *attendance) change(by int) {
	a.count += by
	a.since++
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.count > 0 || a.ttl <= 0 || a.expired {
		return
	}
	since := a.since
	a.timer = time.AfterFunc(a.ttl, func() { a.expire(since) })
}

func (a *attendance) expire(since int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if since != a.since {
		return // somebody came as the timer fired
	}
	a.expired = true
	close(a.empty)
}
