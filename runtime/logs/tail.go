package logs

import (
	"bytes"
	"io"
)

// lastLines returns the offset at which the last lines that the query asks
// for begin, at least from.
func (r *reader) lastLines(from int64) (int64, error) {
	list := r.log.list()
	n := lineCounter{want: r.query.Last}
	for i := len(list) - 1; i >= 0 && list[i].end > from; i-- {
		c := newCursor(r.log, max(list[i].first, from))
		c.done = list[i].first - 1
		start, found, err := r.lastOf(c, list[i], &n)
		c.close()
		if err != nil || found {
			return start, err
		}
	}
	return from, nil
}

// lastOf counts backwards over what the query selects of one segment.
func (r *reader) lastOf(c *cursor, sg segment, n *lineCounter) (start int64, found bool, err error) {
	var selected []entry
	for c.pos < r.limit {
		v, err := r.log.view(c.pos, c.done)
		if err != nil {
			return 0, false, err
		}
		if !v.found || v.segment.first != sg.first {
			break // at its end, or retired meanwhile
		}
		list, err := c.batch(v)
		if err != nil && err != errVanished {
			return 0, false, err
		}
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			if e.size = min(e.end(), r.limit) - e.offset; e.size > 0 && selects(r.query, e) {
				selected = append(selected, e)
			}
		}
	}
	buffer := blocks.Get().(*block)
	defer blocks.Put(buffer)
	for i := len(selected) - 1; i >= 0; i-- {
		for e := selected[i]; e.size > 0; {
			size := min(e.size, maxBlock)
			e.size -= size
			got, err := c.data.ReadAt(buffer[:size], e.end()-sg.first)
			if err != nil && err != io.EOF {
				return 0, false, err
			}
			if at, ok := n.count(buffer[:got]); ok {
				return e.end() + int64(at), true, nil
			}
		}
	}
	return 0, false, nil
}

// lineCounter counts lines backwards over pieces of text, the last one first.
type lineCounter struct {
	want  int
	begun bool // the very last byte was seen: it ends the last line, or is in it
}

// count looks for the start of the wanted line in the piece before those it
// was given already.
func (n *lineCounter) count(piece []byte) (at int, found bool) {
	if !n.begun && len(piece) > 0 {
		n.begun = true
		piece = piece[:len(piece)-1]
	}
	for {
		i := bytes.LastIndexByte(piece, '\n')
		if i < 0 {
			return 0, false
		}
		if n.want--; n.want == 0 {
			return i + 1, true
		}
		piece = piece[:i]
	}
}
