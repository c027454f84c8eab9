package process

import (
	"errors"
	"hash/fnv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// portRest is how long a private port is not given out again: until then
// somebody may still mean the one who had it.
const portRest = 60 * time.Second

// ports gives out private ports, outside of those that the kernel chooses
// from for outgoing connections: such a one could be taken at any moment.
type ports struct {
	now       func() time.Time
	free      func(port int) bool
	low, high int // inclusive

	mu       sync.Mutex
	next     int
	taken    map[int]grant
	reserved map[int]bool // of the sockets that were declared last: for others to listen on
}

// grant is a port that was given out.
type grant struct {
	owner string    // project/service
	until time.Time // when it may be given out again; zero: it is in use
}

func newPorts(now func() time.Time, nonce string) *ports {
	p := &ports{now: now, free: free, taken: map[int]grant{}}
	p.low, p.high = privatePorts(firstEphemeral())
	h := fnv.New32a() // runtimes side by side begin at different places
	h.Write([]byte(nonce))
	p.next = p.low + int(h.Sum32()%uint32(p.high-p.low+1))
	return p
}

// privatePorts is the part of 25000-32767 below the kernel's own range, or
// 25000-29999 where that leaves too little. The daemon publishes below it.
func privatePorts(kernelLow int) (low, high int) {
	low, high = 25000, min(32767, kernelLow-1)
	if high-low < 2000 {
		high = 29999
	}
	return low, high
}

// take returns a port for owner on which nothing listens; prefer, when not 0,
// if it is free: it must be one that this caller took before.
func (p *ports) take(prefer int, owner string) (int, error) {
	if prefer != 0 && !p.isReserved(prefer) && p.freeSoon(prefer) {
		return prefer, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for range p.high - p.low + 1 {
		port := p.next
		if p.next++; p.next > p.high {
			p.next = p.low
		}
		if had, ok := p.taken[port]; p.reserved[port] || ok && !had.over(now) {
			continue
		}
		if p.free(port) {
			p.taken[port] = grant{owner: owner}
			return port, nil
		}
	}
	return 0, errors.New("no private port is free")
}

// release gives port back.
func (p *ports) release(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for other, had := range p.taken {
		if had.over(now) {
			delete(p.taken, other)
		}
	}
	p.taken[port] = grant{until: now.Add(portRest)}
}

// over reports whether a port may be given out again.
func (g grant) over(now time.Time) bool { return !g.until.IsZero() && !now.Before(g.until) }

// reserve has none of numbers given out from now on, and those before, which
// are not among them, again. Who was given one of them keeps it: see owner.
func (p *ports) reserve(numbers map[int]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reserved = numbers
}

func (p *ports) isReserved(port int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reserved[port]
}

// owner returns whose private port it is; "" when it is nobody's.
func (p *ports) owner(port int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken[port].owner
}

// privately says that a port is a private one of owner.
func privately(owner string) string {
	return "it is a private port of " + owner + ", and a restart of that service frees it"
}

// A port that is asked for again is worth a wait: while no daemon lives nobody
// tells the gateway of another one. Who has it may only be looking whether it
// is free, as another runtime on this machine does.
const (
	freeLimit = 200 * time.Millisecond
	freeAgain = 5 * time.Millisecond
)

// freeSoon is free, after a wait if need be.
func (p *ports) freeSoon(port int) bool {
	if p.free(port) {
		return true
	}
	again := time.NewTicker(freeAgain)
	defer again.Stop()
	for range freeLimit / freeAgain {
		<-again.C
		if p.free(port) {
			return true
		}
	}
	return false
}

// free reports whether nobody listens on a port of the loopback. It is asked by
// binding alone: who calls meanwhile is refused as before. No process is forked
// meanwhile: the child would keep the port bound until it execs.
func free(port int) bool {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for _, host := range loopback {
		if err := tryBind(host, port); errors.Is(err, unix.EADDRINUSE) || err != nil && host == loopback[0] { // else there is no IPv6
			return false
		}
	}
	return true
}
