package logs

import (
	"os"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// maxBlock is the most that is read or handed out at once: what a pipe holds
// by default (pipe(7)).
const maxBlock = 64 << 10

// log is the log of one service.
type log struct {
	store   *Store
	name    name
	dir     string
	invalid error // the name cannot be a directory

	mu       sync.Mutex
	loaded   bool
	closed   bool
	segments []segment // oldest first
	end      int64     // offset of the next byte
	head     head
	lost     int64 // bytes dropped since the last block that was written
	origins  origins
	version  uint64
	wake     chan struct{} // closed by the next change; nil while nobody waits
}

// append adds output to the log, or counts it as lost.
func (l *log) append(instance runtime.InstanceID, stream runtime.Stream, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	for len(data) > 0 {
		n := min(len(data), len(block{}))
		l.write(instance, stream, data[:n])
		data = data[n:]
	}
	l.notify()
}

func (l *log) write(instance runtime.InstanceID, stream runtime.Stream, data []byte) {
	now := l.store.options.Now()
	offset, n, err := l.put(now, data)
	if n > 0 {
		l.record(entry{
			offset:     offset,
			size:       int64(n),
			time:       now.UnixNano(),
			gap:        l.recovered(),
			generation: instance.ID.Number,
			replica:    instance.Replica,
			attempt:    instance.Attempt,
			origin:     l.origin(instance),
			stream:     stream,
		})
	}
	if err != nil {
		l.drop(len(data)-n, err)
	}
}

// put writes data at the end of the log. It returns where, and how much of it
// is there now, also when that is not all.
func (l *log) put(now time.Time, data []byte) (offset int64, n int, err error) {
	if err := l.load(); err != nil {
		return 0, 0, err
	}
	if l.full(now, len(data)) {
		l.seal(now)
	}
	if err := l.openHead(now); err != nil {
		return 0, 0, err
	}
	sg := &l.segments[len(l.segments)-1]
	offset = l.end
	// At its place, not at the file's end: what a failed write left there, or
	// somebody else put there, is written over and offsets stay true.
	n, err = l.head.data.WriteAt(data, offset-sg.first)
	l.end += int64(n)
	sg.end, sg.modified = l.end, now
	l.head.used = now
	return offset, n, err
}

// origin returns whose instance it is: for nearly all, the log's own service.
func (l *log) origin(instance runtime.InstanceID) int {
	if s := instance.ID.Service; s != "" && s != l.name.service {
		return l.origins.number(s)
	}
	return 0
}

// drop counts n bytes that could not be written, and says so the first time.
func (l *log) drop(n int, err error) {
	if l.lost == 0 {
		l.store.options.Log.Warn("output of a service is dropped", "service", l.name.service, "err", err)
	}
	l.lost += int64(n)
}

// recovered returns how much was lost until now, when writing works again.
func (l *log) recovered() int64 {
	n := l.lost
	if n > 0 {
		l.store.options.Log.Info("output of a service is written again", "service", l.name.service, "lost", n)
	}
	l.lost = 0
	return n
}

// notify wakes everybody who waits for more.
func (l *log) notify() {
	l.version++
	if l.wake != nil {
		close(l.wake)
		l.wake = nil
	}
}

// tidy flushes, and closes the files when nothing was written for a while.
func (l *log) tidy() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	if l.store.options.Now().Sub(l.head.used) >= closeAfter {
		l.closeFiles()
	}
}

// park closes the files of a log that has no more writers.
func (l *log) park() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	l.noteLoss()
	l.closeFiles()
}

// parked reports whether l holds nothing that only memory knows.
func (l *log) parked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.data == nil && l.lost == 0
}

// noteLoss leaves a bare gap in the index for what was lost at the end. It
// works as long as the index can be written, if not its data.
func (l *log) noteLoss() {
	h := &l.head
	if l.lost == 0 || h.index == nil {
		return
	}
	h.pending = append(h.pending, entry{
		offset: l.end,
		gap:    l.lost,
		time:   l.store.options.Now().UnixNano(),
		stream: runtime.StreamRuntime,
	})
	l.flush()
	if n := len(h.pending); n > 0 { // not even the index: remember it for the next block
		h.pending = h.pending[:n-1]
		return
	}
	l.lost = 0
	l.notify()
}

// close ends l with its Store.
func (l *log) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	l.noteLoss()
	err := l.closeFiles()
	l.closed = true
	l.notify()
	return err
}

// remove deletes everything that was written until now.
func (l *log) remove() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.load() // offsets are to go on; what cannot be read can still be removed
	l.closeFiles()
	l.segments = nil
	l.head = head{}
	l.origins = origins{dir: l.dir}
	l.notify()
	return os.RemoveAll(l.dir)
}
