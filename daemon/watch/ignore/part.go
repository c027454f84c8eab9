package ignore

import "strings"

// part is one component of a pattern. Nearly all of them are plain names or
// *.suffix, which cost one comparison.
type part struct {
	kind kind
	text string
}

type kind int

const (
	plain    kind = iota
	suffix        // *text
	wild          // anything else
	anyDepth      // **
)

func parsePart(text string) part {
	if text == "**" {
		return part{kind: anyDepth}
	}
	if !strings.ContainsAny(text, `*?[\`) {
		return part{plain, text}
	}
	if rest, ok := strings.CutPrefix(text, "*"); ok && !strings.ContainsAny(rest, `*?[\`) {
		return part{suffix, rest}
	}
	return part{wild, text}
}

func (p part) matches(name string) bool {
	switch p.kind {
	case plain:
		return name == p.text
	case suffix:
		return strings.HasSuffix(name, p.text)
	case anyDepth:
		return true
	}
	return glob(p.text, name)
}

// glob matches one name, byte by byte as git does. It remembers the last star
// alone: an earlier one never needs to take more, since the later one can.
func glob(pattern, name string) bool {
	starred := false
	var afterStar, from string
	for {
		if strings.HasPrefix(pattern, "*") {
			starred = true
			pattern = strings.TrimLeft(pattern, "*")
			afterStar, from = pattern, name
			continue
		}
		if name == "" {
			return pattern == ""
		}
		if rest, ok := one(pattern, name[0]); ok {
			pattern, name = rest, name[1:]
			continue
		}
		if !starred || from == "" {
			return false
		}
		from = from[1:]
		pattern, name = afterStar, from
	}
}

// one matches the first element of a pattern with a byte, and returns the rest
// of the pattern.
func one(pattern string, c byte) (rest string, ok bool) {
	if pattern == "" {
		return "", false
	}
	switch pattern[0] {
	case '?':
		return pattern[1:], true
	case '[':
		return set(pattern[1:], c)
	case '\\':
		if len(pattern) == 1 {
			return "", false
		}
		pattern = pattern[1:]
	}
	return pattern[1:], pattern[0] == c
}

// set matches what stands between brackets; one that is never closed matches
// nothing.
func set(pattern string, c byte) (rest string, ok bool) {
	negated := strings.HasPrefix(pattern, "!") || strings.HasPrefix(pattern, "^")
	if negated {
		pattern = pattern[1:]
	}
	found := false
	for first := true; ; first = false {
		if pattern == "" {
			return "", false
		}
		if pattern[0] == ']' && !first {
			return pattern[1:], found != negated
		}
		if name, after, isClass := class(pattern); isClass {
			in, known := inClass(name, c)
			if !known {
				return "", false
			}
			found, pattern = found || in, after
			continue
		}
		low, after := literal(pattern)
		high := low
		if len(after) > 1 && after[0] == '-' && after[1] != ']' {
			high, after = literal(after[1:])
		}
		found, pattern = found || low <= c && c <= high, after
	}
}

// literal takes one byte, which a backslash may precede.
func literal(pattern string) (c byte, rest string) {
	if pattern[0] == '\\' && len(pattern) > 1 {
		pattern = pattern[1:]
	}
	return pattern[0], pattern[1:]
}

// class takes [:name:].
func class(pattern string) (name, rest string, ok bool) {
	inner, ok := strings.CutPrefix(pattern, "[:")
	if !ok {
		return "", "", false
	}
	return strings.Cut(inner, ":]")
}

func inClass(name string, c byte) (in, known bool) {
	lower, upper, digit := 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9'
	graph := ' ' < c && c < 0x7f
	switch name {
	case "alpha":
		return lower || upper, true
	case "digit":
		return digit, true
	case "alnum":
		return lower || upper || digit, true
	case "lower":
		return lower, true
	case "upper":
		return upper, true
	case "space":
		return c == ' ' || '\t' <= c && c <= '\r', true
	case "blank":
		return c == ' ' || c == '\t', true
	case "punct":
		return graph && !lower && !upper && !digit, true
	case "graph":
		return graph, true
	case "print":
		return graph || c == ' ', true
	case "cntrl":
		return c < ' ' || c == 0x7f, true
	case "xdigit":
		return digit || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F', true
	}
	return false, false
}
