package build

import (
	"regexp"
	"strings"
	"sync"

	"github.com/stead-dev/stead/runtime"
)

// A path that is not absolute has no blanks in it, or half of all sentences
// would begin with a path.
const (
	filePattern  = `(?P<file>(?:file://)?(?:/|\.{1,2}/)[^:()'"]+|[^\s:()'"\[\]]+)`
	lineColumn   = `:(?P<line>\d+):(?P<column>\d+)`
	maybeColumn  = `:(?P<line>\d+)(?::(?P<column>\d+))?`
	severityWord = `(?P<severity>fatal error|[Ee]rror|[Ww]arning|note|info|hint)`
)

// compilers are the formats of builds; the first that fits a line takes it.
var compilers = sync.OnceValue(func() []format {
	return []format{
		row{tool: "go", needs: []string{".go:", "go.mod:", "go.work:", "go.sum:"}, pattern: regexp.MustCompile(`^(?:vet: )?(?P<file>[^\s:][^:]*\.go|(?:[^\s:]*/)?go\.(?:mod|work|sum))` + maybeColumn + `: (?P<text>.+)$`), more: goMore, adjust: goAdjust},
		row{tool: "go", needs: []string{"go: "}, pattern: regexp.MustCompile(`^go: (?P<text>(?:updates to|cannot find main|missing go\.sum|.*go\.mod\b|.*malformed).*[^:]:?)$`), more: goMore, adjust: goModule},
		// TypeScript, C# and whatever else MSBuild runs.
		row{tool: "msbuild", needs: []string{"): ", ") : "}, pattern: regexp.MustCompile(`^\s*(?P<file>[^\s():][^():]*)\((?P<line>\d+)(?:,(?P<column>\d+))?(?:,(?P<endline>\d+),(?P<endcolumn>\d+))?\)\s?: ` +
			`(?P<severity>(?:fatal )?error|warning) (?P<code>[A-Z]+\d+)\s?: (?P<text>.*?)(?: \[[^\]]+\.\w+proj\])?$`), more: indentedMore, adjust: toolByCode},
		row{tool: "tsc", needs: []string{" - error", " - warning"}, pattern: regexp.MustCompile(`^\s*` + filePattern + lineColumn + ` - ` + severityWord + `(?: (?P<code>TS\d+))?: (?P<text>.*)$`), more: prettyMore, adjust: toolByCode},
		row{tool: "rustc", needs: []string{": error[", ": warning["}, pattern: regexp.MustCompile(`^` + filePattern + lineColumn + `: (?P<severity>error|warning)\[(?P<code>\w+)\]: (?P<text>.*)$`)},
		row{tool: "javac", needs: []string{".java:"}, pattern: regexp.MustCompile(`^(?P<file>[^\s:][^:]*\.java):(?P<line>\d+): (?P<severity>error|warning): (?:\[(?P<code>[\w-]+)\] )?(?P<text>.*)$`), more: javacMore},
		row{tool: "maven", needs: []string{"[ERROR] /", "[WARNING] /"}, pattern: regexp.MustCompile(`^\[(?P<severity>ERROR|WARNING)\] (?P<file>/[^:]+):\[(?P<line>\d+),(?P<column>\d+)\] (?:error: )?(?P<text>.*)$`), more: mavenMore},
		row{tool: "kotlinc", needs: []string{"e: ", "w: "}, pattern: regexp.MustCompile(`^(?P<severity>[ew]): ` + `(?P<file>(?:file://)?/[^:]+)` + lineColumn + `:? (?P<text>.*)$`)},
		row{tool: "php", needs: []string{" in /"}, pattern: regexp.MustCompile(`^(?:PHP )?(?P<severity>Parse error|Fatal error|Warning):\s+(?P<text>.*) in (?P<file>/.+?)(?: on line |:)(?P<line>\d+)$`)},
		row{tool: "webpack", needs: []string{"ERROR in ", "WARNING in "}, pattern: regexp.MustCompile(`^(?:\[tsl\] )?(?P<severity>ERROR|WARNING) in ` + filePattern + `[:( ](?P<line>\d+)[:,](?P<column>\d+)\)?(?:-\d+)?$`), more: webpackMore},
		row{tool: "make", needs: []string{": *** "}, pattern: regexp.MustCompile(`^(?P<file>[^\s:]+):(?P<line>\d+): \*\*\* (?P<text>.*?)(?:\s+Stop\.)?$`)},
		row{tool: "ld", needs: []string{":(."}, pattern: regexp.MustCompile(`^(?:\S*ld(?:\.\w+)?: )?(?P<file>[^\s:]+\.\w+):\(\.[\w.]+\+0x[0-9a-f]+\): (?P<text>.*)$`)},
		row{tool: "ld", needs: []string{"undefined reference", "multiple definition"}, pattern: regexp.MustCompile(`^(?:\S*ld(?:\.\w+)?: )?` + filePattern + `:(?P<line>\d+): (?P<text>(?:undefined reference|multiple definition) .*)$`)},
		esbuild{}, arrow{}, eslint{}, viteFile{}, templateHere{},
		row{needs: []string{"rror: ", "arning: ", "note: ", "info: ", "hint: "}, pattern: regexp.MustCompile(`^` + filePattern + maybeColumn + `(?::(?P<endline>\d+):(?P<endcolumn>\d+))?: ` + severityWord + `: (?P<text>.*)$`), more: cMore, adjust: toolByFile},
		row{pattern: regexp.MustCompile(`^` + filePattern + lineColumn + `:? (?P<text>.*\S.*)$`), known: true, more: cMore, adjust: toolByFile},
		row{pattern: regexp.MustCompile(`^` + filePattern + `:(?P<line>\d+): (?P<text>.*\S.*)$`), known: true, more: cMore, adjust: toolByFile},
	}
})

func goAdjust(_ *Parser, s *single) bool {
	if s.Text == "too many errors" {
		return false
	}
	for _, word := range []string{"fatal error: ", "error: ", "warning: "} { // cgo: the C compiler's
		if text, ok := strings.CutPrefix(s.Text, word); ok {
			s.Text = text
			if word == "warning: " {
				s.Severity = runtime.SeverityWarning
			}
		}
	}
	if !strings.HasSuffix(s.File, ".go") && strings.HasSuffix(s.Text, ":") {
		return false
	}
	return true
}

// goModule has what go says of a module as a whole.
func goModule(p *Parser, s *single) bool {
	s.File = p.path("go.mod")
	return !strings.HasPrefix(s.Text, "errors parsing ")
}

func goMore(s *single, line string) bool {
	if pointing(line) {
		return true
	}
	if !strings.HasPrefix(line, "\t") {
		return false
	}
	s.explain(line)
	return true
}

// pointing reports whether a line shows source behind its number and a bar,
// or points into it with carets.
func pointing(line string) bool {
	rest := strings.TrimLeft(line, " \t0123456789")
	return strings.HasPrefix(rest, "| ") || rest == "|" || rest != "" && strings.Trim(rest, "~^ \t") == ""
}

func indentedMore(s *single, line string) bool {
	if !strings.HasPrefix(line, "  ") {
		return false
	}
	s.explain(line)
	return true
}

var (
	prettyNote   = regexp.MustCompile(`^\s+(\S+:\d+):\d+ - (.*)$`)
	prettySource = regexp.MustCompile(`^\s*\d+ |^\s*~+\s*$|^\s*$`)
)

// prettyMore reads what tsc adds for people: text that is indented, then the
// source, then related places.
func prettyMore(s *single, line string) bool {
	if note := prettyNote.FindStringSubmatch(line); note != nil && s.blank {
		s.explain(note[2] + " (" + note[1] + ")")
		return true
	}
	if s.blank {
		return prettySource.MatchString(line)
	}
	if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "  ") {
		return false
	}
	s.explain(line)
	return true
}

// javacMore reads source and caret, and what is indented after that.
func javacMore(s *single, line string) bool {
	text := strings.TrimSpace(line)
	switch {
	case text == "^" && s.Source == "":
		s.Source = s.prior
		s.Column = strings.IndexByte(line, '^') + 1
		s.Text, _, _ = strings.Cut(s.Text, "\n") // what was taken for text was source
	case strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") || s.Source == "" && s.lines == 1:
		s.explain(line)
	default:
		return false
	}
	return true
}

func mavenMore(s *single, line string) bool {
	text, ok := strings.CutPrefix(line, "[ERROR]   ")
	if ok {
		s.explain(text)
	}
	return ok
}

func webpackMore(s *single, line string) bool {
	if strings.TrimSpace(line) == "" || s.lines > 3 {
		return false
	}
	s.explain(line)
	return true
}

var note = regexp.MustCompile(`^(\S.*?):(\d+)(?::\d+)?: note: (.*)$`)

// cMore drops the source that gcc, clang and mypy show, and keeps their notes.
func cMore(s *single, line string) bool {
	if pointing(line) {
		return true
	}
	m := note.FindStringSubmatch(line)
	if m != nil {
		s.explain("note: " + m[3] + " (" + m[1] + ":" + m[2] + ")")
	}
	return m != nil
}
