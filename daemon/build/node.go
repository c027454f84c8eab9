package build

import (
	"regexp"
	"strings"
)

// node is an error that nobody caught, of Node, Deno and what else has V8: the
// place with its source, the error, and a stack; or an error with a stack
// alone, as programs log them.
type node struct{}

var (
	nodePlace = regexp.MustCompile(`^((?:file://)?/.+|node:[\w/]+):(\d+)$`)
	nodeFrame = regexp.MustCompile(`^\s+at (?:.*? \()?((?:file://)?/.+?|node:[\w/]+|<anonymous>|native)(?::(\d+))?(?::(\d+))?\)?$`)
	nodeError = regexp.MustCompile(`^(?:Uncaught (?:\(in promise\) )?)?\[?(?:[A-Za-z_$][\w$.]*)?(?:Error|Exception|Rejection)\b`)
	nodeFrom  = regexp.MustCompile(` imported from ((?:file://)?/\S.*)$`)
	nodeNeeds = regexp.MustCompile(`^- (/.+)$`)
)

func (node) begin(p *Parser, line string) block {
	if m := placeOf(line); m != nil {
		b := &nodeBlock{}
		if !strings.HasPrefix(line, "node:") {
			b.at = place{p.path(m[1]), number(m[2]), 0}
		}
		return b
	}
	if p.headAge > headLines || !isFrame(line) || !nodeFrame.MatchString(line) {
		return nil
	}
	b := &nodeBlock{bare: true, lines: 1}
	b.says(p, p.head)
	b.stack(p, line)
	return b
}

// placeOf looks at whether a line is a place and nothing else.
func placeOf(line string) []string {
	if line == "" || line[len(line)-1] < '0' || line[len(line)-1] > '9' ||
		!strings.HasPrefix(line, "/") && !strings.HasPrefix(line, "file:") && !strings.HasPrefix(line, "node:") {
		return nil
	}
	return nodePlace.FindStringSubmatch(line)
}

type nodeBlock struct {
	trace
	at     place // where it says it is; else in the stack
	source string
	text   string
	lines  int
	frames int
	bare   bool // a stack alone
}

func (b *nodeBlock) take(p *Parser, line string) bool {
	b.lines++
	empty := strings.TrimSpace(line) == ""
	switch {
	case b.stack(p, line):
	case b.frames > 0:
		// What hangs on the error follows in braces.
		return !b.bare && !empty && (strings.HasPrefix(line, "  ") || line == "}")
	case b.text != "" && nodeNeeds.MatchString(line):
		b.trace.take(place{nodeNeeds.FindStringSubmatch(line)[1], 0, 0}, rankOther)
	case b.text != "":
		if empty || len(b.text) > keptText {
			return false
		}
		b.text += "\n" + line
	case nodeError.MatchString(line):
		b.says(p, line)
	case b.lines == 1:
		b.source = line
	case b.lines == 2 && strings.Trim(line, " \t^") == "" && b.at.file != "":
		b.at.column = strings.IndexByte(line, '^') + 1
	default:
		return b.lines <= headLines
	}
	return true
}

// says takes the line with the error.
func (b *nodeBlock) says(p *Parser, line string) {
	b.text = strings.TrimSuffix(line, " {")
	if m := nodeFrom.FindStringSubmatch(line); m != nil {
		b.trace.take(place{p.path(m[1]), 0, 0}, rankOther)
	}
}

// stack takes a frame.
func (b *nodeBlock) stack(p *Parser, line string) bool {
	m := nodeFrame.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	b.frames++
	if b.frames == 1 && b.at.file != "" {
		b.trace.take(b.at, p.rankOf(b.at.file))
	}
	if file := p.path(m[1]); strings.HasPrefix(file, "/") && m[2] != "" && !strings.HasPrefix(m[1], "node:") && m[1] != "native" && m[1] != "<anonymous>" {
		b.trace.take(place{file, number(m[2]), number(m[3])}, p.rankOf(file))
	}
	return true
}

func (b *nodeBlock) end(p *Parser) {
	if b.file == "" && b.at.file != "" {
		b.place = b.at
	}
	d := b.diagnostic("node", b.text)
	if b.place == b.at {
		d.Source = b.source
	}
	p.add(d)
}
