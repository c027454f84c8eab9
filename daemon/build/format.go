package build

import (
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/stead-dev/stead/runtime"
)

// format is one way in which a tool says what is wrong.
type format interface {
	// begin returns what the line begins, or nil.
	begin(p *Parser, line string) block
}

// block is something wrong that is being read.
type block interface {
	// take takes a line that belongs to it; false: the line does not, and the
	// block is over.
	take(p *Parser, line string) bool
	// end gives what was read to the Parser.
	end(p *Parser)
}

// row is a format whose first line has all that matters.
type row struct {
	tool     string
	needs    []string         // one of them is in each line that fits: looking for it is 100 times quicker than the pattern
	pattern  *regexp.Regexp   // its groups are named file, line, column, endline, endcolumn, severity, code, text
	severity runtime.Severity // where the pattern has none
	zero     bool             // columns are counted from 0
	known    bool             // begins with a file that is source, by its name, and a line's number
	more     func(s *single, line string) bool
	adjust   func(p *Parser, s *single) bool // false: it is nothing after all
}

// single is a diagnostic from one line, and the lines that explain it.
type single struct {
	runtime.Diagnostic
	more  func(s *single, line string) bool
	lines int    // of explanation so far
	blank bool   // an empty line was among them
	prior string // the line before
}

func (s *single) take(_ *Parser, line string) bool {
	s.lines++
	mine := s.more != nil && s.more(s, line)
	s.blank = s.blank || mine && strings.TrimSpace(line) == ""
	s.prior = line
	return mine
}

func (s *single) end(p *Parser) { p.add(s.Diagnostic) }

// explain adds a line of text; what has no end is not added to for ever.
func (s *single) explain(line string) {
	if line = strings.TrimSpace(line); line != "" && len(s.Text) < keptText {
		s.Text = strings.TrimSpace(s.Text + "\n" + line)
	}
}

func (r row) begin(p *Parser, line string) block {
	if r.needs != nil && !containsAny(line, r.needs) || r.known && !beginsWithSource(line) {
		return nil
	}
	m := r.pattern.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	group := func(name string) string {
		if i := r.pattern.SubexpIndex(name); i >= 0 {
			return m[i]
		}
		return ""
	}
	severity, ok := severityOf(group("severity"), r.severity)
	file := group("file")
	if !ok {
		return nothing{}
	}
	s := &single{more: r.more, Diagnostic: runtime.Diagnostic{
		File: p.path(file), Line: number(group("line")), Column: number(group("column")),
		EndLine: number(group("endline")), EndColumn: number(group("endcolumn")),
		Severity: severity, Text: group("text"), Tool: r.tool, Code: group("code"),
	}}
	if r.zero {
		s.Column++
	}
	if r.adjust != nil && !r.adjust(p, s) {
		return nothing{}
	}
	return s
}

// nothing is a line that is understood, and tells of nothing: no other format
// may have it.
type nothing struct{}

func (nothing) take(*Parser, string) bool { return false }
func (nothing) end(*Parser)               {}

// number is 0 for what is none, or none that a file has.
func number(s string) int {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return int(n)
}

// severityOf reads a tool's word. Notes are no diagnostics of their own.
func severityOf(word string, otherwise runtime.Severity) (runtime.Severity, bool) {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "":
		if otherwise == "" {
			otherwise = runtime.SeverityError
		}
		return otherwise, true
	case "error", "fatal error", "fatal", "e", "err", "critical", "parse error", "syntax error":
		return runtime.SeverityError, true
	case "warning", "warn", "w":
		return runtime.SeverityWarning, true
	}
	return "", false
}

// extensions of files that are edited by hand. A host and port ("db.internal:5432:
// refused") looks like a file and line otherwise.
var extensions = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for _, e := range strings.Fields(`go mod work c cc cpp cxx h hh hpp hxx inc m mm s rs py pyi pyx js jsx ts tsx mjs cjs mts cts vue svelte astro
		java kt kts scala sc groovy gradle clj cs csx fs fsx vb rb erb rake gemspec php ex exs eex heex erl hrl hs lhs ml mli elm swift zig nim lua
		pl pm t r jl dart sh bash zsh fish css scss sass less html htm xml json jsonc yaml yml toml proto sql graphql gql tf hcl md mk cfg ini
		tpl tmpl gotmpl sol cu cuh f90 pas d v sv wat wgsl glsl nix cue bzl bazel star`) {
		all[e] = true
	}
	return all
})

func containsAny(line string, words []string) bool {
	for _, w := range words {
		if strings.Contains(line, w) {
			return true
		}
	}
	return false
}

// beginsWithSource reports whether a line begins with file:number.
func beginsWithSource(line string) bool {
	file, rest, found := strings.Cut(strings.TrimPrefix(line, "file://"), ":")
	return found && rest != "" && '0' <= rest[0] && rest[0] <= '9' && source(file)
}

// source reports whether the name of a file is that of source.
func source(file string) bool {
	name := file[strings.LastIndexByte(file, '/')+1:]
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		return extensions()[strings.ToLower(name[dot+1:])]
	}
	switch name {
	case "Makefile", "makefile", "GNUmakefile", "Dockerfile", "Rakefile", "Gemfile", "Jenkinsfile":
		return true
	}
	return false
}
