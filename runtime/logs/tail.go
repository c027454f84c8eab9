package logs

import (
	"bytes"
	"context"
	"io"
)

// lastLines returns the offset at which the last lines that the query asks
// for begin, at least from.
func (r *reader) lastLines(ctx context.Context, from int64) (int64, error) {
	n := lineCounter{want: r.query.Last}
	return r.backwards(ctx, from, func(c *cursor, selected []entry) (int64, bool, error) {
		return n.entries(c, selected)
	})
}

// lastMatches returns the offset at which the last matching lines that the
// query asks for begin, at least from. A line that was cut into blocks where
// one segment ends may count twice, or not at all.
func (r *reader) lastMatches(ctx context.Context, from int64) (int64, error) {
	want := r.query.Last
	return r.backwards(ctx, from, func(c *cursor, selected []entry) (int64, bool, error) {
		var starts []int64 // of the newest matches
		s := newSearch(r.match.search.m, func(_ entry, end int64, line []byte) error {
			if starts = append(starts, end-int64(len(line))); len(starts) > 2*want {
				starts = append(starts[:0], starts[len(starts)-want:]...)
			}
			return nil
		})
		for _, e := range selected {
			if _, err := s.entry(e, c.data, c.first, selected[len(selected)-1].end()); err != nil {
				return 0, false, err
			}
		}
		if err := s.finishAll(); err != nil {
			return 0, false, err
		}
		if len(starts) >= want {
			return max(starts[len(starts)-want], selected[0].offset), true, nil
		}
		want -= len(starts)
		return 0, false, nil
	})
}

// backwards goes through the segments, the newest first, and shows what the
// query selects of each, until look has found the offset where it begins.
func (r *reader) backwards(ctx context.Context, from int64, look func(*cursor, []entry) (int64, bool, error)) (int64, error) {
	list := r.log.list()
	for i := len(list) - 1; i >= 0 && list[i].end > from; i-- {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		c := newCursor(r.log, max(list[i].first, from))
		c.done = list[i].first - 1
		selected, err := r.selected(c, list[i])
		var start int64
		found := false
		if err == nil && len(selected) > 0 {
			start, found, err = look(c, selected)
		}
		c.close()
		if err != nil || found {
			return start, err
		}
	}
	return from, nil
}

// selected returns what the query selects of one segment.
func (r *reader) selected(c *cursor, sg segment) ([]entry, error) {
	var selected []entry
	for c.pos < r.limit {
		v, err := r.log.view(c.pos, c.done)
		if err != nil {
			return nil, err
		}
		if !v.found || v.segment.first != sg.first {
			break // at its end, or retired meanwhile
		}
		list, err := c.batch(v)
		if err != nil && err != errVanished {
			return nil, err
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
	return selected, nil
}

// lineCounter counts lines backwards over pieces of text, the last one first.
type lineCounter struct {
	want  int
	begun bool // the very last byte was seen: it ends the last line, or is in it
}

// entries looks for the start of the wanted line in entries of a segment.
func (n *lineCounter) entries(c *cursor, selected []entry) (start int64, found bool, err error) {
	buffer := blocks.Get().(*block)
	defer blocks.Put(buffer)
	for i := len(selected) - 1; i >= 0; i-- {
		for e := selected[i]; e.size > 0; {
			size := min(e.size, maxBlock)
			e.size -= size
			got, err := c.data.ReadAt(buffer[:size], e.end()-c.first)
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
