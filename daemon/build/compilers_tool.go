package build

import (
	"path/filepath"
	"regexp"
	"strings"
)

// toolByCode tells MSBuild's tools apart.
func toolByCode(_ *Parser, s *single) bool {
	letters := strings.TrimRight(s.Code, "0123456789")
	switch letters {
	case "":
		if strings.HasSuffix(s.File, ".py") || strings.HasSuffix(s.File, ".pyi") {
			s.Tool = "pyright"
			takeCode(s, pyrightCode)
		}
	case "TS":
		s.Tool = "tsc"
	case "CS", "FS", "BC":
		s.Tool = "dotnet"
	case "C", "LNK":
		s.Tool = "cl"
	}
	return true
}

// Codes are printed before or after the text.
var (
	pyrightCode = regexp.MustCompile(`^(?P<text>.*) \((?P<code>report\w+)\)$`)
	gccCode     = regexp.MustCompile(`^(?P<text>.*) \[-W(?P<code>[\w+=-]+)\]$`)
	mypyCode    = regexp.MustCompile(`^(?P<text>.*?)\s+\[(?P<code>[a-z][a-z-]+)\]$`)
	flakeCode   = regexp.MustCompile(`^(?P<code>[A-Z]{1,4}\d{2,4}):? (?:\[\*\] )?(?P<text>.*)$`)
	unixCode    = regexp.MustCompile(`^(?P<text>.*) \[(?P<severity>Error|Warning)(?:/(?P<code>[\w/@-]+))?\]$`)
)

func takeCode(s *single, pattern *regexp.Regexp) bool {
	m := pattern.FindStringSubmatch(s.Text)
	if m == nil {
		return false
	}
	s.Text, s.Code = m[pattern.SubexpIndex("text")], m[pattern.SubexpIndex("code")]
	if i := pattern.SubexpIndex("severity"); i >= 0 {
		s.Severity, _ = severityOf(m[i], s.Severity)
	}
	return true
}

// toolByFile names the tool that file:line:column of this language is from.
func toolByFile(p *Parser, s *single) bool {
	if strings.HasPrefix(strings.TrimSpace(s.Text), "required from ") {
		return false // C++: how a template came to be used
	}
	switch strings.ToLower(filepath.Ext(s.File)) {
	case ".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".m", ".mm", ".s", ".inc", "":
		s.Tool = "cc"
		takeCode(s, gccCode)
		p.relocate(s)
	case ".py", ".pyi":
		s.Tool = "python"
		if takeCode(s, flakeCode) {
			s.Tool = "lint"
		} else if takeCode(s, mypyCode) {
			s.Tool = "mypy"
		}
	case ".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts", ".cts", ".vue", ".svelte":
		s.Tool = "js"
		if takeCode(s, unixCode) {
			s.Tool = "eslint"
		}
	case ".rs":
		s.Tool = "rustc"
	case ".go":
		s.Tool = "go"
	case ".java", ".kt", ".kts", ".scala":
		s.Tool = "javac"
	default:
		s.Tool = "build"
	}
	return true
}

// templateHere notes where a C++ template is used that turns out wrong in a
// header: that line is the one to mend.
type templateHere struct{}

// place is a position in a file.
type place struct {
	file         string
	line, column int
}

var requiredHere = regexp.MustCompile(`^` + filePattern + lineColumn + `:\s+required from here$`)

func (templateHere) begin(p *Parser, line string) block {
	if !strings.HasSuffix(line, "required from here") {
		return nil
	}
	if m := requiredHere.FindStringSubmatch(line); m != nil {
		p.here = &place{p.path(m[1]), number(m[2]), number(m[3])}
		return nothing{}
	}
	return nil
}

// relocate moves an error of a header that is not the project's to where the
// project uses it.
func (p *Parser) relocate(s *single) {
	here := p.here
	p.here = nil
	if here == nil || within(p.opt.Project, s.File) {
		return
	}
	s.explain("in " + s.Position())
	s.File, s.Line, s.Column = here.file, here.line, here.column
}
