package ipc

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// MaxLine is the longest line that Lines hands over in one piece; what is
// longer is cut there, as searches do.
const MaxLine = runtime.MaxLine

// maxParts and maxHeld bound the unfinished lines that Lines remembers: each
// instance and stream may have one, of up to MaxLine.
const (
	maxParts = 256
	maxHeld  = 16 << 20
)

// Line is one line of a service's output.
type Line struct {
	Project  string
	Service  string
	Instance string // generation/replica/attempt, empty when not known
	Stream   string // as in steadpb.LogBlock
	Time     time.Time
	Text     []byte // without its end; only valid during the call
	Gap      int64  // when > 0 this is no line: so many bytes are missing here
}

// Lines cuts the blocks of steadpb.Daemon.Logs into lines: the reader's side
// of logs. Lines of one instance and stream are joined across blocks; those of
// different ones never mix. A line ends at LF or CR LF.
//
// It is not safe for concurrent use. The zero value is not ready; see NewLines.
type Lines struct {
	emit  func(Line)
	parts map[partKey]*part
	held  int // bytes in parts
	age   uint64
}

// NewLines returns a Lines that calls emit for each line.
func NewLines(emit func(Line)) *Lines {
	return &Lines{emit: emit, parts: map[partKey]*part{}}
}

// partKey is who writes a line: attempts of one replica follow each other, so
// they share it.
type partKey struct{ project, service, replica, stream string }

// part is a line whose end has not come yet.
type part struct {
	instance string
	time     time.Time // of its beginning
	text     []byte
	cut      bool   // its beginning was handed over already
	age      uint64 // rises with each part
}

// Add takes the next block.
func (l *Lines) Add(b *steadpb.LogBlock) {
	if b.GetGap() > 0 {
		l.flush(func(k partKey) bool { return k.project == b.GetProject() && k.service == b.GetService() })
		l.emit(Line{Project: b.GetProject(), Service: b.GetService(), Instance: b.GetInstance(),
			Stream: b.GetStream(), Time: b.GetTime().AsTime(), Gap: b.GetGap()})
	}
	key := partKey{b.GetProject(), b.GetService(), replicaOf(b.GetInstance()), b.GetStream()}
	if p := l.parts[key]; p != nil && p.instance != b.GetInstance() {
		l.finish(key, p) // a new attempt: the old one ended without an LF
	}
	for data := b.GetData(); len(data) > 0; {
		data = l.step(key, b, data)
	}
	for l.held > maxHeld {
		l.finishOldest()
	}
}

// Flush hands over all lines whose end has not come, oldest first.
func (l *Lines) Flush() { l.flush(func(partKey) bool { return true }) }

// step consumes up to one line of data and returns the rest.
func (l *Lines) step(key partKey, b *steadpb.LogBlock, data []byte) []byte {
	p := l.parts[key]
	head, rest, ended := bytes.Cut(data, []byte{'\n'})
	have := 0
	if p != nil {
		have = len(p.text)
	}
	if over := have + len(head) - MaxLine; over > 0 {
		keep := len(head) - over
		p = l.grow(key, b, head[:keep])
		l.hand(key, p.instance, p.time, p.text)
		l.held -= len(p.text)
		p.text, p.cut = p.text[:0], true
		return data[keep:]
	}
	switch {
	case ended && p == nil: // the usual case copies nothing
		l.hand(key, b.GetInstance(), b.GetTime().AsTime(), withoutCR(head))
	case ended:
		p = l.grow(key, b, head)
		l.finish(key, p)
	default:
		l.grow(key, b, head)
	}
	return rest
}

// grow adds text to the unfinished line of key.
func (l *Lines) grow(key partKey, b *steadpb.LogBlock, text []byte) *part {
	p := l.parts[key]
	if p == nil {
		if len(l.parts) >= maxParts {
			l.finishOldest()
		}
		l.age++
		p = &part{instance: b.GetInstance(), time: b.GetTime().AsTime(), age: l.age}
		l.parts[key] = p
	}
	p.text = append(p.text, text...)
	l.held += len(text)
	return p
}

// finish hands over an unfinished line as it is.
func (l *Lines) finish(key partKey, p *part) {
	delete(l.parts, key)
	l.held -= len(p.text)
	text := withoutCR(p.text)
	if p.cut && len(text) == 0 {
		return // the cut fell on the line's end
	}
	l.hand(key, p.instance, p.time, text)
}

func (l *Lines) finishOldest() {
	var oldest partKey
	var found *part
	for k, p := range l.parts {
		if found == nil || p.age < found.age {
			oldest, found = k, p
		}
	}
	if found != nil {
		l.finish(oldest, found)
	}
}

// flush finishes the lines that match, oldest first.
func (l *Lines) flush(match func(partKey) bool) {
	var keys []partKey
	for k := range l.parts {
		if match(k) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b partKey) int { return cmp.Compare(l.parts[a].age, l.parts[b].age) })
	for _, k := range keys {
		l.finish(k, l.parts[k])
	}
}

func (l *Lines) hand(key partKey, instance string, t time.Time, text []byte) {
	l.emit(Line{Project: key.project, Service: key.service, Instance: instance, Stream: key.stream,
		Time: t, Text: text})
}

// withoutCR takes off what terminals, and programs from elsewhere, end lines
// with besides LF.
func withoutCR(text []byte) []byte { return bytes.TrimSuffix(text, []byte{'\r'}) }

// replicaOf is generation/replica of generation/replica/attempt.
func replicaOf(instance string) string {
	if i := strings.LastIndexByte(instance, '/'); i >= 0 {
		return instance[:i]
	}
	return instance
}
