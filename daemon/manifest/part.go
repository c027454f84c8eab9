package manifest

import (
	"cmp"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A part is one file of a manifest: itself, one that it includes, or an
// override. Lines are numbered through all parts, in the nodes too, so that a
// node tells which file it is from and what holds there.
type part struct {
	file      string
	directory string // that its paths are relative to
	text      string
	first     int    // how many lines are before its first
	scope     *scope // what ${VAR} is in it
}

// open adds a part.
func (d *document) open(file, directory, text string, s *scope) {
	if len(d.parts) > 0 {
		d.source += "\n" // also where the last line has its end, so that no line is of two parts
	}
	d.parts = append(d.parts, part{file: file, directory: directory, text: text, first: len(d.lines), scope: s})
	offset := len(d.source)
	d.source += text
	d.lines = append(d.lines, offset)
	for i := range len(text) {
		if n := lineBreak(text[i:]); n > 0 {
			d.lines = append(d.lines, offset+i+n)
		}
	}
}

// lineBreaks end a line for YAML 1.1 (section 5.4), and so for the parser: a
// stray CR that it counts and we do not would move whatever is behind it.
const lineBreaks = "\r\n\u0085\u2028\u2029"

// lineBreak returns the length of the line break that text begins with, 0 for
// none. Of CR LF it is the LF that ends the line.
func lineBreak(text string) int {
	switch {
	case text[0] == '\n':
		return 1
	case text[0] == '\r' && !strings.HasPrefix(text, "\r\n"):
		return 1
	case strings.HasPrefix(text, "\u0085"):
		return len("\u0085")
	case strings.HasPrefix(text, "\u2028"), strings.HasPrefix(text, "\u2029"):
		return len("\u2028")
	}
	return 0
}

// move adds to the line of every node.
func move(n *yaml.Node, lines int) {
	n.Line += lines
	for _, child := range n.Content { // an alias has none: what it stands for is moved where it is
		move(child, lines)
	}
}

// part returns the part that a line belongs to.
func (d *document) part(line int) *part {
	i, exact := slices.BinarySearchFunc(d.parts, line-1, func(p part, n int) int { return cmp.Compare(p.first, n) })
	if !exact {
		i--
	}
	return &d.parts[max(i, 0)]
}

// directory is what paths at a node are relative to.
func (d *document) directory(n *yaml.Node) string { return d.part(n.Line).directory }

// position is a node's file and line.
func (d *document) position(n *yaml.Node) string {
	p := d.part(n.Line)
	return p.file + ":" + strconv.Itoa(n.Line-p.first)
}

// place is where a node is for a message: line and column, and the file's
// name when it is not the manifest's.
func (d *document) place(n *yaml.Node) string {
	p := d.part(n.Line)
	text := strconv.Itoa(n.Line-p.first) + ":" + strconv.Itoa(n.Column)
	if p != &d.parts[0] {
		text = d.relative(p.file) + ":" + text
	}
	return text
}

// relative is a path as seen from the manifest, when it lies below.
func (d *document) relative(path string) string {
	if short, err := filepath.Rel(d.parts[0].directory, path); err == nil {
		return short
	}
	return path
}
