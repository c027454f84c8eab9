package logs

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/stead-dev/stead/runtime"
)

// matcher finds lines by an expression.
type matcher struct {
	expr   *regexp.Regexp
	any    []needle // one of these is in every line that matches; nil: not known
	enough bool     // and that is all it takes
	all    []needle // each of these is, too; it is quick to see that one is missing
}

func newMatcher(text string) (*matcher, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("match %q: %w: %w", text, err, runtime.Invalid)
	}
	expr, err := regexp.Compile(text)
	if err != nil { // too large
		return nil, fmt.Errorf("match %q: %w: %w", text, err, runtime.Invalid)
	}
	m := &matcher{expr: expr}
	parsed = parsed.Simplify()
	m.any, m.enough = required(parsed)
	if parsed.Op == syntax.OpConcat {
		for _, sub := range parsed.Sub {
			if list, _ := required(sub); len(list) == 1 {
				m.all = append(m.all, list[0])
			}
		}
	}
	return m, nil
}

// matches reports whether the expression is found in a line. The line may
// have its end.
func (m *matcher) matches(line []byte) bool {
	for _, n := range m.all {
		if n.index(line) < 0 {
			return false
		}
	}
	line = bytes.TrimSuffix(line, []byte{'\n'})
	line = bytes.TrimSuffix(line, []byte{'\r'})
	return m.expr.Match(line)
}

// scan looks through a piece of a log for places where a line may match. It
// remembers where each needle comes next, so that each byte is looked at once
// however often scan is asked.
type scan struct {
	m    *matcher
	data []byte
	next []int // by needle: where it is, at or after what was asked for last
}

func (s *scan) begin(m *matcher, data []byte) {
	s.m, s.data, s.next = m, data, s.next[:0]
	for range m.any {
		s.next = append(s.next, -1)
	}
}

// from returns the first place at or after at where a line may match, or the
// length of the data.
func (s *scan) from(at int) int {
	if s.m.any == nil {
		return at
	}
	first := len(s.data)
	for i, n := range s.m.any {
		if s.next[i] < at {
			s.next[i] = len(s.data)
			if found := n.index(s.data[at:]); found >= 0 {
				s.next[i] = at + found
			}
		}
		first = min(first, s.next[i])
	}
	return first
}
