package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/stead-dev/stead/runtime"
)

// cursor walks over a log, entry by entry, from pos on. Bytes that no entry
// speaks of appear as entries of StreamUnknown.
type cursor struct {
	log  *log
	pos  int64 // offset of the next byte
	done int64 // segments that begin here or before are behind; -1: none

	first int64    // the segment that the files below are of
	data  *os.File // nil while closed
	index *os.File // nil also when there is none
	mtime int64
	seen  int    // entries of its index that are behind
	raw   []byte // room for a batch of them; nil while closed
}

func newCursor(l *log, pos int64) *cursor { return &cursor{log: l, pos: pos, done: -1, first: -1} }

// errVanished says that a segment is not there any more; the next view is
// without it.
var errVanished = errors.New("segment vanished")

// maxBatch entries of the index are read at once: 24 KiB, so that it is not
// what a search through short entries takes its time for.
const maxBatch = 512

// batch returns the next entries of v's segment, cut to what is at pos or
// after, and moves pos behind them. None means that there are no more, as of
// v; the cursor is then done with a segment that will get no more. What it
// returns can be read from data until the next call.
func (c *cursor) batch(v view) ([]entry, error) {
	if err := c.open(v.segment); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			c.log.vanished(v.segment.first)
			return nil, errVanished
		}
		return nil, fmt.Errorf("open segment: %w", err)
	}
	raw, last, err := c.read(v)
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	list := c.cut(raw, v.segment.end)
	if !last {
		return list, nil
	}
	if c.pos < v.segment.end {
		list = append(list, c.hole(v.segment.end))
		c.pos = v.segment.end
	}
	if len(list) == 0 && !v.newest {
		c.done = v.segment.first
	}
	return list, nil
}

// read returns the entries that come next in the index, or in memory, and
// whether these are all.
func (c *cursor) read(v view) (list []entry, last bool, err error) {
	for len(list) == 0 && !last {
		want := maxBatch
		if v.newest {
			want = min(want, max(v.flushed-c.seen, 0))
		}
		if len(c.raw) < want*entrySize {
			c.raw = make([]byte, want*entrySize)
		}
		b := c.raw[:want*entrySize]
		n := 0
		if want > 0 && c.index != nil {
			if n, err = c.index.ReadAt(b, int64(c.seen)*entrySize); err != nil && err != io.EOF {
				return nil, false, err
			}
		}
		n /= entrySize
		for i := range n {
			if e, ok := decode(b[i*entrySize:], v.segment.first); ok {
				list = append(list, e)
			} // else its bytes are as good as without an entry
		}
		last = n < maxBatch
		c.seen += n
	}
	if v.newest && last {
		list = append(list, v.pending[min(max(c.seen-v.flushed, 0), len(v.pending)):]...)
		c.seen = v.flushed + len(v.pending)
		if n := len(list); n > 0 && list[n-1].size > 0 {
			c.seen-- // it may grow
		}
	}
	return list, last, nil
}

// cut brings entries into the order and range that pos and end leave them.
func (c *cursor) cut(raw []entry, end int64) []entry {
	var list []entry
	for _, e := range raw {
		e.size = min(e.end(), end) - e.offset
		if e.size < 0 || e.end() < c.pos || e.end() == c.pos && e.size > 0 {
			continue
		}
		if e.offset > c.pos {
			list = append(list, c.hole(e.offset))
		} else if e.offset < c.pos {
			e.offset, e.size, e.gap = c.pos, e.end()-c.pos, 0
		}
		list = append(list, e)
		c.pos = e.end()
	}
	return list
}

// hole is the entry for bytes from pos to end that have none.
func (c *cursor) hole(end int64) entry {
	return entry{offset: c.pos, size: end - c.pos, time: c.mtime, stream: runtime.StreamUnknown}
}

func (c *cursor) open(sg segment) error {
	if c.first != sg.first {
		c.close()
		c.first, c.seen = sg.first, 0
	}
	if c.data != nil {
		return nil
	}
	data, err := os.Open(base(c.log.dir, sg.first) + dataSuffix)
	if err != nil {
		return err
	}
	if info, err := data.Stat(); err == nil {
		c.mtime = info.ModTime().UnixNano()
	}
	index, err := os.Open(base(c.log.dir, sg.first) + indexSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		data.Close()
		return err
	}
	c.data, c.index = data, index
	return nil
}

// close gives the descriptors back; the cursor opens them again as needed.
func (c *cursor) close() {
	if c.data != nil {
		c.data.Close()
	}
	if c.index != nil {
		c.index.Close()
	}
	c.data, c.index, c.raw = nil, nil, nil
}
