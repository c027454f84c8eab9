package logs

import "github.com/stead-dev/stead/runtime"

// matching is the part of a reader that hands over only lines that match.
// Lines of one entry share blocks: a block for each would cost far more than
// finding it.
type matching struct {
	reader *reader
	search *search
	out    []byte // lines that are not handed over yet
	last   entry  // whose they are
	until  int64  // where the last of them ends
}

func newMatching(expr string, r *reader) (*matching, error) {
	m, err := newMatcher(expr)
	if err != nil {
		return nil, err
	}
	g := &matching{reader: r}
	g.search = newSearch(m, g.add)
	return g, nil
}

// entry searches the next entry; limit is where those that are known end.
func (g *matching) entry(e entry, limit int64) error {
	if e.gap > 0 { // what was begun before it has lost its end
		if err := g.finish(); err != nil {
			return err
		}
		g.reader.gap += e.gap
	}
	c := g.reader.cursor
	missing, err := g.search.entry(e, c.data, c.first, limit)
	if missing > 0 && err == nil {
		err = g.finish()
		g.reader.gap += missing
	}
	return err
}

// add takes a line that matches.
func (g *matching) add(e entry, end int64, line []byte) error {
	if len(g.out) > 0 && (len(g.out)+len(line) > maxBlock || !e.alike(g.last)) {
		if err := g.flush(); err != nil {
			return err
		}
	}
	g.out, g.last, g.until = append(g.out, line...), e, end
	return nil
}

// alike reports whether blocks of e and o say the same of their data.
func (e entry) alike(o entry) bool {
	return e.author() == o.author() && e.attempt == o.attempt && e.time == o.time
}

func (g *matching) flush() error {
	if len(g.out) == 0 {
		return nil
	}
	e := g.last
	e.offset = max(0, g.until-int64(len(g.out))) // an LF may have been added
	err := g.reader.emit(e, g.out)
	if g.out = g.out[:0]; cap(g.out) > 2*maxBlock {
		g.out = nil // a very long line
	}
	return err
}

// finish hands over everything, also what has not come to its end.
func (g *matching) finish() error {
	if err := g.search.finishAll(); err != nil {
		return err
	}
	return g.flush()
}

// end says how far the log was read.
func (g *matching) end() error {
	if err := g.finish(); err != nil {
		return err
	}
	now := g.reader.log.store.options.Now().UnixNano()
	return g.reader.emit(entry{offset: g.reader.limit, time: now, stream: runtime.StreamRuntime}, nil)
}
