package logs

import (
	"bytes"
	"io"

	"github.com/stead-dev/stead/runtime"
)

const (
	// windowSize is read at once: large enough that system calls do not
	// count, small enough to stay in a core's cache.
	windowSize = 256 << 10
	// maxHeld bounds the unfinished lines that a search remembers.
	maxHeld = 4 << 20
)

// search finds the lines that match in entries it is given in order. Lines
// are joined from pieces of one instance and stream.
type search struct {
	m *matcher
	// found gets each line that matches, and where it ends in the log. The
	// line always ends with LF; it is valid during the call.
	found func(e entry, end int64, line []byte) error

	window []byte
	at     int64 // offset of window in the log
	scan   scan
	parts  map[author]*part
	held   int // bytes in parts
	age    uint64
}

// author is who writes a line: attempts follow each other, so they share it.
type author struct {
	generation uint64
	replica    int
	origin     int
	stream     runtime.Stream
}

// part is a line whose end has not come yet.
type part struct {
	entry entry // where it began
	end   int64 // offset behind what there is
	text  []byte
	age   uint64
}

func newSearch(m *matcher, found func(entry, int64, []byte) error) *search {
	return &search{m: m, found: found, parts: map[author]*part{}}
}

// entry searches e, which lies in data at its offset less first. What follows
// up to limit is read along with it. It returns how much of e is not there.
func (s *search) entry(e entry, data io.ReaderAt, first, limit int64) (missing int64, err error) {
	for e.size > 0 {
		if e.offset < s.at || e.offset >= s.at+int64(len(s.window)) {
			if err := s.fill(data, e.offset, first, limit); err != nil {
				return 0, err
			}
			if len(s.window) == 0 {
				return e.size, nil // somebody made the file shorter
			}
		}
		from := int(e.offset - s.at)
		n := min(int(e.size), len(s.window)-from)
		if err := s.piece(e, from, from+n); err != nil {
			return 0, err
		}
		e.offset += int64(n)
		e.size -= int64(n)
	}
	return 0, nil
}

func (s *search) fill(data io.ReaderAt, offset, first, limit int64) error {
	if cap(s.window) == 0 {
		s.window = make([]byte, windowSize)
	}
	n, err := data.ReadAt(s.window[:min(windowSize, limit-offset)], offset-first)
	if err != nil && err != io.EOF {
		return err
	}
	s.window, s.at = s.window[:n], offset
	s.scan.begin(s.m, s.window)
	return nil
}

// piece searches a part of the window that e wrote.
func (s *search) piece(e entry, from, to int) error {
	if len(s.parts) > 0 {
		var err error
		if from, err = s.resume(e, from, to); err != nil {
			return err
		}
	}
	whole := to
	if from < to && s.window[to-1] != '\n' {
		whole = from + bytes.LastIndexByte(s.window[from:to], '\n') + 1
	}
	if err := s.lines(e, from, whole); err != nil {
		return err
	}
	if whole < to {
		return s.hold(e, whole, to)
	}
	return nil
}

// lines searches whole lines.
func (s *search) lines(e entry, from, to int) error {
	for from < to {
		at := s.scan.from(from)
		if at >= to {
			return nil
		}
		begin := from + bytes.LastIndexByte(s.window[from:at], '\n') + 1
		end := at + bytes.IndexByte(s.window[at:to], '\n') + 1
		if line := s.window[begin:end]; s.m.enough || s.m.matches(line) {
			if err := s.found(e, s.at+int64(end), line); err != nil {
				return err
			}
		}
		from = end
	}
	return nil
}

// resume goes on with the unfinished line of e's author, and returns where
// the next line begins.
func (s *search) resume(e entry, from, to int) (int, error) {
	key := e.author()
	p := s.parts[key]
	if p == nil || from == to {
		return from, nil
	}
	if p.entry.attempt != e.attempt { // the old one ended without an LF
		return from, s.finish(key, p)
	}
	i := bytes.IndexByte(s.window[from:to], '\n')
	if i < 0 {
		return to, s.hold(e, from, to)
	}
	next := from + i + 1
	if err := s.grow(key, p, s.window[from:next], s.at+int64(next)); err != nil {
		return next, err
	}
	return next, s.finish(key, p)
}

// hold remembers the beginning, or the middle, of a line.
func (s *search) hold(e entry, from, to int) error {
	key := e.author()
	p := s.parts[key]
	if p == nil {
		s.age++
		p = &part{entry: e, age: s.age}
		s.parts[key] = p
	}
	if err := s.grow(key, p, s.window[from:to], s.at+int64(to)); err != nil {
		return err
	}
	if s.held > maxHeld {
		return s.finishOldest()
	}
	return nil
}

// grow adds text, which ends at end, to a line. A line that becomes longer
// than MaxLine is searched in pieces.
func (s *search) grow(key author, p *part, text []byte, end int64) error {
	for len(p.text)+len(text) > runtime.MaxLine {
		n := runtime.MaxLine - len(p.text)
		if len(text)-n == 1 && text[n] == '\n' {
			break // its end is not a piece
		}
		p.add(s, text[:n], end-int64(len(text)-n))
		text = text[n:]
		if err := s.test(p); err != nil {
			return err
		}
		s.held -= len(p.text)
		p.text = p.text[:0]
	}
	p.add(s, text, end)
	return nil
}

func (p *part) add(s *search, text []byte, end int64) {
	p.text = append(p.text, text...)
	p.end = end
	s.held += len(text)
}

// test hands a line over if it matches.
func (s *search) test(p *part) error {
	line := p.text
	if len(line) == 0 || !s.m.matches(line) {
		return nil
	}
	if line[len(line)-1] != '\n' {
		line = append(line, '\n')
		p.text = line[:len(line)-1]
	}
	return s.found(p.entry, p.end, line)
}

func (s *search) finish(key author, p *part) error {
	delete(s.parts, key)
	s.held -= len(p.text)
	return s.test(p)
}

func (s *search) finishOldest() error {
	var oldest author
	var first *part
	for key, p := range s.parts {
		if first == nil || p.age < first.age {
			oldest, first = key, p
		}
	}
	return s.finish(oldest, first)
}

// finishAll searches all lines whose end has not come, oldest first.
func (s *search) finishAll() error {
	for len(s.parts) > 0 {
		if err := s.finishOldest(); err != nil {
			return err
		}
	}
	return nil
}

func (e entry) author() author { return author{e.generation, e.replica, e.origin, e.stream} }
