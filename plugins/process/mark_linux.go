package process

import (
	"hash/fnv"

	"golang.org/x/sys/unix"
)

// marker brands every process of a tree with a number that fork, exec,
// setsid, a cleared environment and the death of every relative leave as it
// is: the soft limit RLIMIT_LOCKS. Linux has ignored that limit since 2.4.25,
// keeps it per process, and passes it on. It takes a deliberate `ulimit -x`
// to lose it. The limit of this process is set before each fork, under
// children.mu, and read from others by prlimit(2) with their pid.
//
// A mark is 1<<62, then 36 bits that tell this runtime from all others, then
// 25 bits that tell its trees apart.
type marker struct {
	prefix uint64
	max    uint64 // hard limit; too low a one means no marks
}

const (
	markBit   = 1 << 62
	markShift = 25
)

// markPrefix is what all marks of the runtime with this nonce have in common.
func markPrefix(nonce string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(nonce))
	return markBit | h.Sum64()>>28<<markShift
}

func newMarker(nonce string) marker {
	m := marker{prefix: markPrefix(nonce)}
	var now unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_LOCKS, nil, &now); err == nil {
		m.max = now.Max
	}
	return m
}

// mark is the mark of the tree with this number.
func (m marker) mark(count uint64) uint64 { return m.prefix | count&(1<<markShift-1) }

// set makes the next fork inherit mark.
func (m marker) set(mark uint64) {
	if mark <= m.max {
		_ = unix.Prlimit(0, unix.RLIMIT_LOCKS, &unix.Rlimit{Cur: mark, Max: m.max}, nil)
	}
}

// read returns the mark of pid, 0 when it has none or may not be asked.
func (m marker) read(pid int) uint64 {
	mark := readMark(pid)
	if mark>>markShift != m.prefix>>markShift {
		return 0
	}
	return mark
}

func readMark(pid int) uint64 {
	var of unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_LOCKS, nil, &of); err != nil || of.Cur == unix.RLIM_INFINITY {
		return 0
	}
	return of.Cur
}
