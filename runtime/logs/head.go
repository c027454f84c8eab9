package logs

import (
	"errors"
	"os"
	"slices"
	"time"
)

// maxPending entries are buffered before they are written without waiting for
// the sweeper: about a page.
const maxPending = 85

// head is the newest segment as its writer sees it. Its data and index are
// both open or both closed.
type head struct {
	sealed  bool // the next block begins another segment
	data    file
	index   file
	flushed int       // entries in the index
	pending []entry   // entries that are not in the index yet
	began   time.Time // its first byte
	used    time.Time // its last write
	dirty   bool      // the sweeper knows that there is something to flush
}

// full reports whether the newest segment is to be followed by another before
// n more bytes: by size, by the size of its index (many tiny blocks), or by
// age, so that a quiet service's old lines can expire.
func (l *log) full(now time.Time, n int) bool {
	if len(l.segments) == 0 || l.head.sealed {
		return false
	}
	sg := l.segments[len(l.segments)-1]
	size, o := sg.end-sg.first, l.store.options
	return size > 0 && (size+int64(n) > o.SegmentSize ||
		sg.index >= o.SegmentSize/2 ||
		now.Sub(l.head.began) > o.MaxAge/8)
}

// seal ends the newest segment and removes those that are too many or too old.
func (l *log) seal(now time.Time) {
	l.flush() // entries that cannot be written become StreamUnknown
	for _, e := range l.head.pending {
		l.lost += e.gap
	}
	l.closeFiles()
	l.head = head{sealed: true}
	l.retire(now)
}

// retire applies retention. The newest segment always stays, also when it is
// sealed: its name is what makes offsets go on after a restart.
func (l *log) retire(now time.Time) {
	last := len(l.segments) - 1
	if last < 0 {
		return
	}
	o := l.store.options
	room := o.MaxBytes - o.SegmentSize // for the one that is written to
	if l.head.sealed {
		room -= l.segments[last].size()
	}
	n := expired(l.segments[:last], room, now.Add(-o.MaxAge))
	if n == 0 {
		return
	}
	var paths []string
	for _, sg := range l.segments[:n] {
		paths = append(paths, base(l.dir, sg.first))
	}
	l.segments = slices.Clone(l.segments[n:])
	l.store.sweeper.remove(paths)
}

// openHead opens the files of the newest segment, or of a new one.
func (l *log) openHead(now time.Time) error {
	if l.head.data != nil {
		return nil
	}
	fresh := l.head.sealed || len(l.segments) == 0
	first := l.end
	if !fresh {
		first = l.segments[len(l.segments)-1].first
	}
	data, err := l.store.open(base(l.dir, first) + dataSuffix)
	if err != nil {
		return err
	}
	index, err := l.store.open(base(l.dir, first) + indexSuffix)
	if err == nil {
		if fresh {
			l.head.flushed = 0
		}
		if err = cutIndex(index, base(l.dir, first)+indexSuffix, int64(l.head.flushed)*entrySize); err != nil {
			index.Close()
		}
	}
	if err != nil {
		data.Close()
		return err
	}
	if fresh {
		l.segments = append(l.segments, segment{first: first, end: first, modified: now})
		l.head = head{began: now}
	}
	l.head.data, l.head.index, l.head.used = data, index, now
	l.soon()
	return nil
}

// cutIndex cuts a torn tail, and what an index of the same name had. One that
// is right is left alone: ext4 writes a file that was truncated to nothing to
// the disk when it is closed (auto_da_alloc), which would make each new
// segment cost 0.7 ms.
func cutIndex(index file, path string, size int64) error {
	if info, err := os.Stat(path); err == nil && info.Size() == size {
		return nil
	}
	return index.Truncate(size)
}

// record notes e, in memory at first.
func (l *log) record(e entry) {
	h := &l.head
	if n := len(h.pending); n > 0 && e.joins(h.pending[n-1]) {
		h.pending[n-1].size += e.size
	} else {
		h.pending = append(h.pending, e)
	}
	l.segments[len(l.segments)-1].index = int64(h.flushed+len(h.pending)) * entrySize
	if len(h.pending) >= maxPending {
		l.flush()
	}
	l.soon()
}

// flush writes the pending entries to the index. Where that fails they are
// kept, up to a bound; beyond it their bytes become StreamUnknown.
func (l *log) flush() {
	h := &l.head
	h.dirty = false
	if len(h.pending) == 0 || h.index == nil {
		return
	}
	sg := &l.segments[len(l.segments)-1]
	b := make([]byte, 0, len(h.pending)*entrySize)
	for _, e := range h.pending {
		b = e.encode(b, sg.first)
	}
	if _, err := h.index.WriteAt(b, int64(h.flushed)*entrySize); err != nil {
		if len(h.pending) > 10*maxPending {
			for _, e := range h.pending {
				l.lost += e.gap
			}
			h.pending = h.pending[:0]
		}
		return
	}
	h.flushed += len(h.pending)
	h.pending = nil // idle logs are many
}

// soon asks the sweeper for a flush.
func (l *log) soon() {
	if !l.head.dirty {
		l.head.dirty = true
		l.store.sweeper.add(l)
	}
}

func (l *log) closeFiles() (err error) {
	h := &l.head
	if h.data != nil {
		err = errors.Join(h.data.Close(), h.index.Close())
	}
	h.data, h.index, h.dirty = nil, nil, false
	l.store.sweeper.forget(l)
	return err
}
