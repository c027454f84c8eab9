package process

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
)

// ears listen to the output of an instance for the line of a log probe.
type ears struct {
	text    string
	pattern *regexp.Regexp // nil: text is looked for as it is
	heard   atomic.Bool
	news    chan struct{} // holds one: it was heard
}

// lineLimit is how much of a line a log probe sees.
const lineLimit = 8 << 10

// ansi is a control sequence of a terminal (ECMA-48): colour, most of all,
// which programs put into the middle of what users read as one text.
var ansi = regexp.MustCompile("\x1b\\[[0-9;:?]*[ -/]*[@-~]")

// newEars takes what Probe.Text says: a text, or /regexp/.
func newEars(text string) (*ears, error) {
	e := &ears{text: text, news: make(chan struct{}, 1)}
	if len(text) > 2 && strings.HasPrefix(text, "/") && strings.HasSuffix(text, "/") {
		var err error
		if e.pattern, err = regexp.Compile(text[1 : len(text)-1]); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// ask says what is missing.
func (e *ears) ask() error {
	switch {
	case e.heard.Load():
		return nil
	case e.pattern != nil:
		return fmt.Errorf("no line of its output matches %s yet", e.text)
	}
	return fmt.Errorf("no line of its output contains %q yet", e.text)
}

// ear returns what takes the blocks of one stream, in order.
func (e *ears) ear() func([]byte) {
	var begun []byte // of a line whose end has not come
	return func(data []byte) {
		for len(data) > 0 && !e.heard.Load() {
			line, rest, whole := bytes.Cut(data, []byte("\n"))
			data = rest
			if len(begun) > 0 || !whole {
				begun = append(begun, line[:min(len(line), lineLimit-len(begun))]...)
				line = begun
			}
			// A text is found before its line ends: a prompt has no end.
			if (whole || e.pattern == nil) && e.matches(line[:min(len(line), lineLimit)]) {
				e.heard.Store(true)
				e.news <- struct{}{}
			}
			if whole {
				begun = begun[:0]
			}
		}
		if e.heard.Load() {
			begun = nil
		}
	}
}

func (e *ears) matches(line []byte) bool {
	line = bytes.TrimSuffix(line, []byte("\r"))
	if bytes.IndexByte(line, '\x1b') >= 0 {
		line = ansi.ReplaceAll(line, nil)
	}
	if e.pattern != nil {
		return e.pattern.Match(line)
	}
	return bytes.Contains(line, []byte(e.text))
}
