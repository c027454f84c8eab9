package build

import (
	"regexp"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// arrow is what rustc began and many print now: a headline, and an arrow to
// its place on the line below it.
type arrow struct{}

var arrows = []string{"-->", "╭─", "┌─"}

var (
	arrowPlace = regexp.MustCompile(`^\s*(?:-->|╭─+\[|┌─+\[?) ?(.+?):(\d+):(\d+) ?\]?$`)
	arrowHead  = regexp.MustCompile(`^\s*(?:[×✗] )?(?:(error|warning)(?:\[([\w:-]+)\])?:|([A-Z]+\d+) (?:\[\*\])?|\[([\w:-]+)\])?\s*(.*)$`)
	arrowLabel = regexp.MustCompile(`^\s*\| ( *[-| ]*?)(\^+)(?: (.*))?$`)
	arrowNote  = regexp.MustCompile(`^\s*(?:= )?((?:note|help): .*)$`)
)

func (arrow) begin(p *Parser, line string) block {
	if !containsAny(line, arrows) {
		return nil
	}
	m := arrowPlace.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	head := arrowHead.FindStringSubmatch(p.last)
	severity, ok := severityOf(head[1], runtime.SeverityError)
	if !ok || head[5] == "" {
		return nil
	}
	s := &single{more: arrowMore, Diagnostic: runtime.Diagnostic{
		File: p.path(m[1]), Line: number(m[2]), Column: number(m[3]), Severity: severity,
		Text: head[5], Code: head[2] + head[3] + head[4], Tool: "build",
	}}
	switch {
	case strings.HasSuffix(s.File, ".rs"), strings.HasSuffix(s.File, "Cargo.toml"):
		s.Tool = "rustc"
	case head[3] != "":
		s.Tool = "lint"
	}
	return s
}

func arrowMore(s *single, line string) bool {
	if label := arrowLabel.FindStringSubmatch(line); label != nil && s.EndColumn == 0 {
		s.EndLine, s.EndColumn = s.Line, s.Column+len(label[2])
		s.explain(label[3])
	}
	if note := arrowNote.FindStringSubmatch(line); note != nil {
		s.explain(note[1])
	}
	return strings.TrimSpace(line) != "" && !strings.Contains(line, "───╯")
}

// esbuild prints a headline, an empty line, and the place.
type esbuild struct{}

var (
	esbuildHead  = regexp.MustCompile(`^[✘▲] \[(ERROR|WARNING)\] (.*)$`)
	esbuildPlace = regexp.MustCompile(`^\s+(\S.*?):(\d+):(\d+):$`)
)

func (esbuild) begin(_ *Parser, line string) block {
	if !strings.HasPrefix(line, "✘") && !strings.HasPrefix(line, "▲") {
		return nil
	}
	m := esbuildHead.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	severity, _ := severityOf(m[1], runtime.SeverityError)
	return &esbuildBlock{single{Diagnostic: runtime.Diagnostic{Severity: severity, Text: m[2], Tool: "esbuild"}}}
}

type esbuildBlock struct{ single }

func (b *esbuildBlock) take(p *Parser, line string) bool {
	if m := esbuildPlace.FindStringSubmatch(line); m != nil && b.File == "" {
		b.File, b.Line, b.Column = p.path(m[1]), number(m[2]), number(m[3])+1 // it counts columns from 0
		return true
	}
	empty := strings.TrimSpace(line) == ""
	if empty && b.File == "" {
		return true
	}
	return !empty && strings.HasPrefix(line, "    ")
}

// eslint prints the file on a line of its own, and what is wrong below it.
type eslint struct{}

var (
	eslintFile = regexp.MustCompile(`^/[^:]*\.\w+$`)
	eslintLine = regexp.MustCompile(`^\s+(\d+):(\d+)\s+(error|warning)\s+(.*?)(?:\s{2,}([\w@/-]+))?$`)
)

func (eslint) begin(p *Parser, line string) block {
	if !strings.HasPrefix(line, "/") || !eslintFile.MatchString(line) {
		return nil
	}
	return &eslintBlock{file: p.path(line)}
}

type eslintBlock struct{ file string }

func (b *eslintBlock) take(p *Parser, line string) bool {
	m := eslintLine.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	severity, _ := severityOf(m[3], runtime.SeverityError)
	p.add(runtime.Diagnostic{File: b.file, Line: number(m[1]), Column: number(m[2]), Severity: severity, Text: m[4], Code: m[5], Tool: "eslint"})
	return true
}

func (b *eslintBlock) end(*Parser) {}

// viteFile is how Vite's server names the place, some lines below its error.
type viteFile struct{}

var viteLine = regexp.MustCompile(`^\s*[Ff]ile: (/.+?)(?:\?[^:]*)?:(\d+):(\d+)$`)

func (viteFile) begin(p *Parser, line string) block {
	if p.headAge > headLines || !strings.Contains(line, "ile: /") {
		return nil
	}
	m := viteLine.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	_, text, found := strings.Cut(p.head, "rror: ")
	if !found {
		text = p.head
	}
	return &single{Diagnostic: runtime.Diagnostic{
		File: p.path(m[1]), Line: number(m[2]), Column: number(m[3]), Severity: runtime.SeverityError, Text: text, Tool: "vite",
	}}
}

// headLines is how far an error's headline may be above its place.
const headLines = 10
