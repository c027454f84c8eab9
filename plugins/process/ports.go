package process

import (
	"errors"
	"hash/fnv"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"
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

	mu    sync.Mutex
	next  int
	taken map[int]time.Time // zero: in use; else when it may be given out again
}

func newPorts(now func() time.Time, nonce string) *ports {
	p := &ports{now: now, free: free, taken: map[int]time.Time{}}
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

// take returns a port on which nothing listens; prefer, when not 0, if it is
// free: it must be one that this caller took before.
func (p *ports) take(prefer int) (int, error) {
	if prefer != 0 && p.freeSoon(prefer) {
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
		if until, ok := p.taken[port]; ok && (until.IsZero() || now.Before(until)) {
			continue
		}
		if p.free(port) {
			p.taken[port] = time.Time{}
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
	for other, until := range p.taken {
		if !until.IsZero() && !now.Before(until) {
			delete(p.taken, other)
		}
	}
	p.taken[port] = now.Add(portRest)
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

// free reports whether nobody listens on a port of the loopback. No process is
// forked meanwhile: the child would keep the sockets open until it execs, and
// whoever asks the port in that time would be answered.
func free(port int) bool {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for _, host := range loopback {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		switch {
		case err == nil:
			l.Close()
		case errors.Is(err, syscall.EADDRINUSE) || host == loopback[0]: // else there is no IPv6
			return false
		}
	}
	return true
}
