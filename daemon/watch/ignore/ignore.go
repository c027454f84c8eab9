// Package ignore decides by the rules of gitignore(5) whether a path is
// matched by a list of patterns.
//
// It knows one list at a time, and paths relative to where that list lies;
// walking parents first, so that nothing below an ignored directory is ever
// asked for, and the order of nested lists are the caller's part. Lists are
// immutable, and may be used by any number of goroutines.
//
// The matcher of go-git was rejected: it takes a pattern that matches a parent
// for one that matches the path (so `*`, `!*/`, `!*.go` ignores nothing), takes
// `a/**` for a itself, does not know `[!x]` and `[[:digit:]]`, and drags eleven
// packages along. The test compares with `git check-ignore`.
package ignore

import "strings"

// Verdict is what a list says about a path.
type Verdict int

const (
	Silent  Verdict = iota // no pattern matches
	Ignored                // the last pattern that matches ignores
	Kept                   // the last pattern that matches begins with !
)

// List is the patterns of one file, in its order.
type List []pattern

type pattern struct {
	keep     bool // !
	dirOnly  bool // trailing /
	anchored bool // has a / elsewhere: matches from where the list lies, else any base name
	parts    []part
}

// Parse reads the lines of an ignore file. There are no errors: what git takes
// for a pattern that matches nothing is one here.
func Parse(text string) List {
	var list List
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		if p, ok := parsePattern(strings.TrimSuffix(line, "\r")); ok {
			list = append(list, p)
		}
	}
	return list
}

func parsePattern(line string) (pattern, bool) {
	if strings.HasPrefix(line, "#") {
		return pattern{}, false
	}
	var p pattern
	line, p.keep = strings.CutPrefix(trimSpaces(line), "!")
	line, p.dirOnly = strings.CutSuffix(line, "/")
	p.anchored = strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if line == "" {
		return pattern{}, false
	}
	for text := range strings.SplitSeq(line, "/") {
		p.parts = append(p.parts, parsePart(text))
	}
	return p, true
}

// trimSpaces cuts trailing spaces, but for one behind a backslash.
func trimSpaces(line string) string {
	for strings.HasSuffix(line, " ") {
		slashes := len(line) - 1 - len(strings.TrimRight(line[:len(line)-1], `\`))
		if slashes%2 == 1 {
			return line
		}
		line = line[:len(line)-1]
	}
	return line
}

// Match says what the list thinks of a path relative to it, with slashes. The
// caller has made sure that no parent of the path is ignored.
func (l List) Match(path string, dir bool) Verdict {
	for i := len(l) - 1; i >= 0; i-- {
		if !l[i].matches(path, dir) {
			continue
		}
		if l[i].keep {
			return Kept
		}
		return Ignored
	}
	return Silent
}

// Below reports whether something under the directory could be matched by a
// pattern: where it cannot, a list of what to include need not be asked.
func (l List) Below(dir string) bool {
	for _, p := range l {
		if !p.anchored || prefix(p.parts, dir) {
			return true
		}
	}
	return false
}

func (p pattern) matches(path string, dir bool) bool {
	if p.dirOnly && !dir {
		return false
	}
	if !p.anchored {
		return p.parts[0].matches(path[strings.LastIndexByte(path, '/')+1:])
	}
	return whole(p.parts, path)
}

// whole matches all parts with all components.
func whole(parts []part, path string) bool {
	for i, part := range parts {
		if part.kind == anyDepth {
			return deep(parts[i+1:], path)
		}
		name, rest, more := strings.Cut(path, "/")
		if !part.matches(name) {
			return false
		}
		if i == len(parts)-1 {
			return !more
		}
		if !more {
			return false
		}
		path = rest
	}
	return false
}

// deep matches what follows a ** with every tail of the path; a trailing ** is
// all that lies inside, of which there is at least one component left.
func deep(parts []part, path string) bool {
	if len(parts) == 0 {
		return path != ""
	}
	for {
		if whole(parts, path) {
			return true
		}
		_, rest, more := strings.Cut(path, "/")
		if !more {
			return false
		}
		path = rest
	}
}

// prefix reports whether the parts could match something below dir.
func prefix(parts []part, dir string) bool {
	for _, part := range parts[:len(parts)-1] {
		if part.kind == anyDepth {
			return true
		}
		name, rest, more := strings.Cut(dir, "/")
		if !part.matches(name) {
			return false
		}
		if !more {
			return true
		}
		dir = rest
	}
	return parts[len(parts)-1].kind == anyDepth
}
