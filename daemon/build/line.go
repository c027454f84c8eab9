package build

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"
)

// Write takes output as it comes; it never fails.
func (p *Parser) Write(data []byte) (int, error) {
	size := len(data)
	for len(data) > 0 {
		part, rest, whole := bytes.Cut(data, []byte("\n"))
		data = rest
		if !p.skip {
			p.rest = append(p.rest, part[:min(len(part), keptLine-len(p.rest))]...)
			p.skip = len(p.rest) == keptLine
		}
		if whole {
			line := string(p.rest)
			p.rest, p.skip = p.rest[:0], false
			p.line(line)
		}
	}
	return size, nil
}

// escape is what colours text, moves the cursor, or names a link or window
// (ECMA-48: CSI and OSC sequences, and the short ones).
var escape = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[ -/]*[0-~])")

// plain returns a line as a person reads it.
func plain(s string) string {
	s = strings.TrimRight(s, "\r")
	if i := strings.LastIndexByte(s, '\r'); i >= 0 {
		s = s[i+1:] // a progress bar was written over
	}
	if strings.IndexByte(s, '\x1b') >= 0 {
		s = escape.ReplaceAllString(s, "")
	}
	return s
}

// openings are how lines begin that have no position in them, and matter.
var openings = []string{
	"panic: ", "fatal error: ", "Traceback (", "thread '", "✘ ", "▲ ", "WARNING: DATA RACE", "Exception in ", "/", "file://", "node:", "go: ",
}

// promising is a cheap look at whether any format may want the line: most
// output is of no interest.
func promising(s string) bool {
	for i := 1; i < len(s); i++ {
		if '0' <= s[i] && s[i] <= '9' {
			switch s[i-1] {
			case ':', '(', '[':
				return true
			}
		}
	}
	for _, begin := range openings {
		if strings.HasPrefix(s, begin) {
			return true
		}
	}
	return strings.Contains(s, "panic serving") || strings.Contains(s, "Traceback (") ||
		strings.Contains(s, "line ") || strings.Contains(s, ":(.")
}

var headlines = regexp.MustCompile(`^(?:\S+ )*?\[?(?:[A-Za-z_$][\w$.]*)?(?:Error|Exception|Rejection)\b|^(?:Uncaught|Caused by:|error:|.*[Ee]rror: )`)

// headline reports whether the line tells of an error that a trace may follow.
func headline(s string) bool {
	return (strings.Contains(s, "rror") || strings.Contains(s, "xception") || strings.Contains(s, "ejection")) &&
		!strings.HasPrefix(strings.TrimSpace(s), "at ") && headlines.MatchString(s)
}

var directory = regexp.MustCompile("^\\S*make(?:\\[\\d+\\])?: (Entering|Leaving) directory ['`](.+)'$")

// enters follows make into directories and back.
func (p *Parser) enters(s string) bool {
	if !strings.Contains(s, "ing directory ") {
		return false
	}
	m := directory.FindStringSubmatch(s)
	switch {
	case m == nil:
		return false
	case m[1] == "Entering" && len(p.dirs) < 100: // a make that goes deeper is lost anyway
		p.dirs = append(p.dirs, m[2])
	case m[1] == "Leaving" && len(p.dirs) > 0:
		p.dirs = p.dirs[:len(p.dirs)-1]
	}
	return true
}

// fromURL returns the path of a file URL, and everything else as it is.
func fromURL(file string) string {
	if !strings.HasPrefix(file, "file://") {
		return file
	}
	u, err := url.Parse(file)
	if err != nil {
		return strings.TrimPrefix(file, "file://")
	}
	return u.Path
}
