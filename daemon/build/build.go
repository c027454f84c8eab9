// Package build knows what builds read and what they say: the output of
// compilers, and of programs that die, becomes diagnostics (Parser), and a
// build command line becomes the files whose change makes it stale (GoLists,
// ReadInputs, Defaults).
//
// It runs nothing. Texts are handed in as streams; a Parser and a reader of
// `go list` keep bounded memory whatever they are given. Inputs are immutable
// and may be used concurrently; a Parser and a Headers belong to one goroutine
// at a time.
package build

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// Bounds of a Parser. A screen holds 50 diagnostics, and nobody mends more
// than that before building again.
const (
	keptDiagnostics = 100
	keptText        = 2 << 10 // bytes of Diagnostic.Text
	keptLine        = 4 << 10 // bytes of a line that are looked at
	keptSource      = 256     // bytes of Diagnostic.Source
	blockLines      = 400     // lines that one traceback may have
)

// Options say whose output a Parser reads.
type Options struct {
	Dir     string // absolute: where the command runs, what relative paths are relative to
	Project string // absolute: frames of tracebacks below it are preferred; empty: Dir
	// Running is set for what a service prints, as opposed to a build: log
	// lines may look like anything, so only what dying programs print is
	// looked for, and what Matchers match.
	Running  bool
	Matchers []*Matcher // looked at first
	// Exists, when set, settles what a relative path is relative to: some tools
	// print it from a workspace's root that is above Dir.
	Exists func(path string) bool

	// For each diagnostic.
	Service    string
	Generation uint64
	Cause      string
}

// Parser finds diagnostics in output, line by line. What it finds is
// complete when Diagnostics is called.
type Parser struct {
	opt     Options
	formats []format

	rest    []byte // the beginning of a line whose end has not come
	skip    bool   // the rest of a line that was too long
	open    block  // what the lines read last belong to
	taken   int    // lines that open has
	last    string // the last line that is not empty
	head    string // the last line that told of an error, for traces without a beginning of their own
	headAge int    // lines since then
	dirs    []string
	here    *place // of the C++ template instantiation that is being explained

	found   []runtime.Diagnostic
	seen    map[identity]bool
	dropped int
}

// identity is what makes two diagnostics the same: make prints some twice.
type identity struct {
	file         string
	line, column int
	text         string
}

// NewParser returns a Parser for one run of a build or a service.
func NewParser(opt Options) *Parser {
	if opt.Project == "" {
		opt.Project = opt.Dir
	}
	p := &Parser{opt: opt, seen: map[identity]bool{}, formats: crashes()}
	if !opt.Running {
		p.formats = append(slices.Clone(compilers()), p.formats...)
	}
	return p
}

// Diagnostics ends what is being read, and returns what was found so far, in
// the order of the output, and how many more there were.
func (p *Parser) Diagnostics() (found []runtime.Diagnostic, dropped int) {
	if len(p.rest) > 0 {
		p.line(string(p.rest))
		p.rest = nil
	}
	p.close()
	return slices.Clone(p.found), p.dropped
}

// Diagnostics returns what is found in a whole text.
func Diagnostics(text string, opt Options) []runtime.Diagnostic {
	p := NewParser(opt)
	_, _ = p.Write([]byte(text)) // never fails
	found, _ := p.Diagnostics()
	return found
}

// line takes one line, without its end.
func (p *Parser) line(s string) {
	s = plain(s)
	if p.open != nil {
		if p.taken++; p.taken <= blockLines && p.open.take(p, s) {
			return
		}
		p.close()
	}
	p.begin(s)
	if p.headAge++; headline(s) {
		p.head, p.headAge = s, 0
	}
	if strings.TrimSpace(s) != "" {
		p.last = s
	}
}

// begin looks for what begins with the line.
func (p *Parser) begin(s string) {
	if p.enters(s) {
		return
	}
	for _, m := range p.opt.Matchers {
		if d, ok := m.match(p, s); ok {
			p.add(d)
			return
		}
	}
	if !promising(s) {
		return
	}
	for _, f := range p.formats {
		if b := f.begin(p, s); b != nil {
			p.open, p.taken = b, 0
			return
		}
	}
}

func (p *Parser) close() {
	if open := p.open; open != nil {
		p.open = nil
		open.end(p)
	}
}

// add keeps d, unless it is known or too much. An error takes the place of a
// warning then.
func (p *Parser) add(d runtime.Diagnostic) {
	d.Text, d.Source = strings.TrimSpace(clip(d.Text, keptText)), clip(d.Source, keptSource)
	if d.File == "" || d.Text == "" {
		return
	}
	d.Service, d.Generation, d.Cause = p.opt.Service, p.opt.Generation, p.opt.Cause
	id := identity{d.File, d.Line, d.Column, d.Text}
	if p.seen[id] {
		return
	}
	if len(p.found) == keptDiagnostics {
		p.dropped++
		warning := slices.IndexFunc(p.found, func(d runtime.Diagnostic) bool { return d.Severity != runtime.SeverityError })
		if d.Severity != runtime.SeverityError || warning < 0 {
			return
		}
		old := p.found[warning]
		delete(p.seen, identity{old.File, old.Line, old.Column, old.Text})
		p.found = slices.Delete(p.found, warning, warning+1)
	}
	p.seen[id] = true
	p.found = append(p.found, d)
}

// clip shortens s to at most so many bytes of valid UTF-8.
func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "")
}

// path makes a path of the output absolute.
func (p *Parser) path(file string) string {
	file = fromURL(file)
	if file == "" || filepath.IsAbs(file) {
		return cleaned(file)
	}
	dir := p.opt.Dir
	if n := len(p.dirs); n > 0 {
		dir = p.dirs[n-1]
	}
	first := filepath.Join(dir, file)
	if p.opt.Exists == nil || p.opt.Exists(first) {
		return first
	}
	for up := p.opt.Dir; within(p.opt.Project, up); up = filepath.Dir(up) {
		if path := filepath.Join(up, file); p.opt.Exists(path) {
			return path
		}
		if up == filepath.Dir(up) {
			break
		}
	}
	return first
}

func cleaned(file string) string {
	if file == "" {
		return ""
	}
	return filepath.Clean(file)
}

// within reports whether path is dir or below it.
func within(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
