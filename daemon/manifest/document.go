package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"mvdan.cc/sh/v3/syntax"

	"github.com/stead-dev/stead/runtime"
)

const (
	// maxNodes bounds a document after its aliases are expanded: ten lines
	// of nested aliases can stand for billions of nodes.
	maxNodes = 100_000
	// maxFindings is how many errors, and how many warnings, are worth
	// telling at once.
	maxFindings = 100
	// maxKept is how many of each severity are kept to choose those from.
	maxKept = 10 * maxFindings
	// maxSource bounds the line that a finding shows, in bytes.
	maxSource = 500
	// maxLine is the longest line in which columns are counted: a manifest
	// of one line would have it walked through for each finding.
	maxLine = 8 << 10
)

// A document is one manifest while it is read, with all that it includes.
// Findings gather in it; nothing stops at the first.
type document struct {
	parts       []part // the manifest itself first
	source      string // of all parts, one after the other
	lines       []int  // offset in source at which each line begins
	nodes       int    // of all parts, aliases expanded
	reading     int    // index of the part that a finding without a place is about
	read        func(file string) (string, error)
	service     string // that is being read: goes into findings
	gateway     bool   // see Request
	aimed       string // name of the environment that it is read for
	target      *Target
	remote      map[string]map[string]string  // see Request
	looksSecret func(name, value string) bool // see Request
	found       []runtime.Diagnostic
	seen        map[string]bool          // positions and texts in found: an alias is read many times
	count       map[runtime.Severity]int // of what was found, also what was not kept
	shell       *syntax.Parser           // for split; making one costs more than using it
}

func newDocument(file, text string, req Request) *document {
	d := &document{aimed: cmp.Or(req.Target, local), looksSecret: req.Secret, remote: req.Remote, read: readText, seen: map[string]bool{}, count: map[runtime.Severity]int{},
		shell: syntax.NewParser(syntax.Variant(syntax.LangPOSIX))}
	directory := filepath.Dir(file)
	d.open(file, directory, text, nil)
	d.parts[0].scope = d.scope(callers(req.Environment), d.envFilesOf(directory))
	return d
}

// parse returns the root mapping of the part that was opened last, or nil
// after a finding.
func (d *document) parse() *yaml.Node {
	d.reading = len(d.parts) - 1
	defer func() { d.reading = 0 }()
	var root yaml.Node
	// Duplicate keys are found by fields, which knows both places.
	err := yaml.Load([]byte(d.parts[d.reading].text), &root, yaml.WithUniqueKeys(false))
	if shift := d.parts[d.reading].first; shift > 0 && err == nil {
		move(&root, shift)
	}
	switch {
	case root.Kind == 0 && strings.Contains(fmt.Sprint(err), "no documents"):
		d.wrong(nil, `the least is: services: {web: {command: ./web}}`, "the manifest is empty")
		return nil
	case root.Kind == yaml.DocumentNode && err != nil: // it read the first of several
		d.wrong(nil, "one file describes one project: remove the lines from the second --- on", "more than one YAML document")
		return nil
	case err != nil:
		d.syntaxError(err)
		return nil
	}
	size, ok := expanded(&root, map[*yaml.Node]int{})
	d.nodes += size
	switch {
	case !ok:
		d.wrong(&root, "an anchor cannot contain its own alias", "an alias refers to itself")
		return nil
	case d.nodes > maxNodes:
		d.wrong(&root, "", "the manifest is too large: more than %d values after aliases are expanded", maxNodes)
		return nil
	}
	return deref(root.Content[0])
}

// expanded counts the nodes below n with aliases expanded, up to just over
// maxNodes; false means that an alias contains itself. known holds what has
// been counted, 0 what is being counted.
func expanded(n *yaml.Node, known map[*yaml.Node]int) (int, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if size, ok := known[n]; ok {
		return size, size > 0
	}
	if len(n.Content) == 0 { // most nodes: not worth remembering
		return 1, true
	}
	known[n] = 0
	size := 1
	for _, child := range n.Content {
		s, ok := expanded(child, known)
		if !ok {
			return 0, false
		}
		size = min(size+s, maxNodes+1)
	}
	known[n] = size
	return size, true
}

// syntaxError reports what the YAML parser says, where its user will look.
func (d *document) syntaxError(err error) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		d.wrong(nil, "", "not valid YAML: %s", err)
		return
	}
	shift := d.parts[d.reading].first
	mark, text := load.Mark, load.Message
	line, column := mark.Line, mark.Column
	hint := ""
	switch {
	case strings.Contains(text, "end of stream"), strings.Contains(text, "expected ',' or"):
		line, column = load.ContextMark.Line, load.ContextMark.Column
		text, hint = "what begins here is not closed", "close the quote or bracket"
	case strings.HasPrefix(d.rest(shift+line, column), "\t"):
		text, hint = "a tab where there can be none", "indent by spaces"
	case strings.Contains(text, "mapping values are not allowed"):
		text, hint = `a second ": " in one value`, `put the value in quotes if the ": " belongs to it`
	case strings.Contains(text, "unknown anchor"):
		hint = "put the value in quotes if the * is part of it"
	case strings.Contains(text, "cannot start any token"):
		hint = "put the value in quotes"
	}
	d.add(runtime.Diagnostic{Severity: runtime.SeverityError, Text: "not valid YAML: " + text, Hint: hint}, shift+line, column)
}

// rest is the line from a column on; column counts characters, from 1. Of a
// line that is too long there is none.
func (d *document) rest(line, column int) string {
	text := d.line(line)
	if len(text) > maxLine {
		return ""
	}
	for range column - 1 {
		_, size := utf8.DecodeRuneInString(text)
		text = text[size:]
	}
	return text
}

// line is the text of a line, counted from 1, without its end.
func (d *document) line(n int) string {
	if n < 1 || n > len(d.lines) {
		return ""
	}
	end := len(d.source)
	if n < len(d.lines) {
		end = d.lines[n]
	}
	return strings.TrimRight(d.source[d.lines[n-1]:end], lineBreaks)
}

// wrong notes an error at a node; nil stands for the file as a whole.
func (d *document) wrong(at *yaml.Node, hint, format string, args ...any) {
	d.note(runtime.SeverityError, at, hint, format, args...)
}

// warn notes a warning at a node.
func (d *document) warn(at *yaml.Node, hint, format string, args ...any) {
	d.note(runtime.SeverityWarning, at, hint, format, args...)
}

func (d *document) note(severity runtime.Severity, at *yaml.Node, hint, format string, args ...any) {
	line, column := 0, 0
	if at != nil {
		line, column = at.Line, at.Column
	}
	d.add(runtime.Diagnostic{Severity: severity, Text: fmt.Sprintf(format, args...), Hint: hint}, line, column)
}

// add notes a finding at a line and a column in characters.
func (d *document) add(one runtime.Diagnostic, line, column int) {
	p := &d.parts[d.reading]
	one.Service = d.service
	if line > 0 {
		p = d.part(line)
		one.Line = line - p.first
	}
	one.File = p.file
	one.Source = d.line(line)
	if column > 0 && len(one.Source) <= maxLine {
		one.Column = len(one.Source) - len(d.rest(line, column)) + 1
	}
	one.Source = strings.ToValidUTF8(one.Source[:min(len(one.Source), maxSource)], "")
	d.keep(one)
}

func (d *document) keep(one runtime.Diagnostic) {
	key := one.Position() + one.Text
	if d.seen[key] {
		return
	}
	if d.count[one.Severity]++; d.count[one.Severity] <= maxKept {
		d.seen[key] = true
		d.found = append(d.found, one)
	}
}

// enough reports whether there are so many errors that no more are kept, and
// none is worth a search for its hint.
func (d *document) enough() bool { return d.count[runtime.SeverityError] >= maxKept }

// failed reports whether there is an error among the findings.
func (d *document) failed() bool {
	return slices.ContainsFunc(d.found, isError)
}

func isError(one runtime.Diagnostic) bool { return one.Severity == runtime.SeverityError }

// findings returns what was found, in the order of the file.
func (d *document) findings() (warnings, errors runtime.Diagnostics) {
	slices.SortStableFunc(d.found, func(a, b runtime.Diagnostic) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return (a.Line-b.Line)*maxFile + a.Column - b.Column
	})
	for _, one := range d.found {
		if isError(one) {
			errors = append(errors, one)
		} else {
			warnings = append(warnings, one)
		}
	}
	return d.atMost(warnings), d.atMost(errors)
}

func (d *document) atMost(found runtime.Diagnostics) runtime.Diagnostics {
	if len(found) <= maxFindings {
		return found
	}
	more := runtime.Diagnostic{File: d.parts[0].file, Severity: found[0].Severity, Text: fmt.Sprintf("and %d more", d.count[found[0].Severity]-maxFindings)}
	return append(found[:maxFindings:maxFindings], more)
}
