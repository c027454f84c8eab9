package build

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/stead-dev/stead/runtime"
)

// crashes are what programs print that die.
var crashes = sync.OnceValue(func() []format {
	return []format{goPanic{}, python{}, rustPanic{}, node{}, java{},
		row{tool: "ruby", needs: []string{".rb:"}, pattern: regexp.MustCompile("^(?P<file>[^\\s:][^:]*\\.rb):(?P<line>\\d+):in [`'].*?': (?P<text>.*)$")}}
})

// trace picks the frame to show: the one nearest to the fault that is the
// project's own code, else the best there is.
type trace struct {
	place
	rank rank
}

// rank says how likely it is that a frame is what the developer wrote.
type rank int

const (
	rankNone    rank = iota
	rankLibrary      // of the language or a package
	rankOther        // nobody knows
	rankProject
)

// libraries are directories of code that is not the project's, even below it.
var libraries = []string{"/node_modules/", "/site-packages/", "/dist-packages/", "/pkg/mod/", "/vendor/", "/.venv/", "/venv/", "/lib/python", "/rustc/", "/.cargo/registry/", "/internal/"}

func (p *Parser) rankOf(file string) rank {
	inside := within(p.opt.Project, file)
	relative := strings.TrimPrefix(file, p.opt.Project)
	for _, l := range libraries {
		if strings.Contains(relative, l) && !(inside && l == "/internal/") {
			return rankLibrary
		}
	}
	if inside {
		return rankProject
	}
	return rankOther
}

// take offers a frame; of equal ones the first is kept.
func (t *trace) take(at place, r rank) {
	if r > t.rank {
		t.place, t.rank = at, r
	} else if at.file == t.file && at.line == t.line && t.column == 0 {
		t.column = at.column
	}
}

func (t *trace) diagnostic(tool, text string) runtime.Diagnostic {
	return runtime.Diagnostic{File: t.file, Line: t.line, Column: t.column, Severity: runtime.SeverityError, Text: text, Tool: tool}
}

// goPanic is a panic or fatal error of Go's runtime, and the stack below it.
type goPanic struct{}

var (
	goBegin = regexp.MustCompile(`^(?:panic: |fatal error: |(?:\S+ )*?http: (panic) serving [^ ]+: )(.*)$`)
	goFrame = regexp.MustCompile(`^\s+(\S.*\.(?:go|s)):(\d+)(?: \+0x[0-9a-f]+)?(?: fp=0x[0-9a-f]+ sp=0x[0-9a-f]+ pc=0x[0-9a-f]+)?$`) // the last part: GOTRACEBACK=system
	goFunc  = regexp.MustCompile(`^\s*(?:created by )?([\w./~@-]+?)\.[^/]*$`)
)

func (goPanic) begin(_ *Parser, line string) block {
	if line == "WARNING: DATA RACE" {
		return &goBlock{text: "data race", race: true}
	}
	if !strings.HasPrefix(line, "panic: ") && !strings.HasPrefix(line, "fatal error: ") && !strings.Contains(line, "http: panic serving ") {
		return nil
	}
	m := goBegin.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	word, _, _ := strings.Cut(line, ": ")
	if m[1] != "" {
		word = m[1]
	}
	return &goBlock{text: word + ": " + m[2]}
}

type goBlock struct {
	trace
	text    string
	race    bool
	in      string // package of the frame whose file comes next
	running bool   // a goroutine has begun
}

func (b *goBlock) take(p *Parser, line string) bool {
	frame := goFrame.FindStringSubmatch(line)
	switch {
	case frame != nil:
		at := place{p.goFile(frame[1]), number(frame[2]), 0}
		b.trace.take(at, p.goRank(at.file, frame[1], b.in))
	case strings.HasPrefix(line, "goroutine "):
		b.running = true
	case b.race:
		return !strings.HasPrefix(line, "====") && b.function(line)
	case strings.TrimSpace(line) == "":
		return !b.running
	case !b.running && strings.HasPrefix(line, "[signal "):
		b.text += "\n" + line
	case !b.running:
		return strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "runtime: ")
	default:
		return b.function(line)
	}
	return true
}

// function notes whose frame comes next.
func (b *goBlock) function(line string) bool {
	b.in = ""
	if m := goFunc.FindStringSubmatch(line); m != nil {
		b.in = m[1]
	}
	return b.in != "" || b.race || strings.HasPrefix(line, "panic(") || strings.HasPrefix(line, "...")
}

func (b *goBlock) end(p *Parser) { p.add(b.diagnostic("go", b.text)) }

// goRank tells Go's own packages by where they lie: below a src directory, by
// their import path.
func (p *Parser) goRank(file, printed, pkg string) rank {
	first, _, _ := strings.Cut(printed, "/")
	switch r := p.rankOf(file); {
	case strings.Contains(printed, "@v"), pkg == "runtime", pkg == "testing":
		return rankLibrary
	case r == rankProject && (filepath.IsAbs(printed) || p.opt.Exists == nil || p.opt.Exists(file)):
		return r
	case pkg != "" && strings.Contains(file, "/src/"+pkg+"/"), !filepath.IsAbs(printed) && !strings.Contains(first, "."):
		return rankLibrary
	default:
		return min(r, rankOther)
	}
}

// goFile finds a file whose path begins with its module's, as -trimpath has it.
func (p *Parser) goFile(printed string) string {
	if filepath.IsAbs(printed) || p.opt.Exists == nil {
		return p.path(printed)
	}
	for rest := printed; rest != ""; {
		if file := filepath.Join(p.opt.Project, rest); p.opt.Exists(file) {
			return file
		}
		_, rest, _ = strings.Cut(rest, "/")
	}
	return p.path(printed)
}

// python is a traceback, or a file that cannot be parsed.
type python struct{}

var (
	pythonGroup = regexp.MustCompile(`^[ +|]*[+|] ?`)
	pythonFrame = regexp.MustCompile(`^\s*File "(.+)", line (\d+)(?:, in .*)?$`)
	pythonError = regexp.MustCompile(`^[A-Za-z_][\w.]*(?:: .*)?$`)
)

func (python) begin(p *Parser, line string) block {
	if !strings.Contains(line, `File "`) && !strings.Contains(line, "Traceback (") {
		return nil
	}
	rest := pythonGroup.ReplaceAllString(line, "")
	if strings.Contains(rest, "Traceback (most recent call last):") {
		return &pythonBlock{}
	}
	if m := pythonFrame.FindStringSubmatch(rest); m != nil {
		b := &pythonBlock{}
		return b.frame(p, m)
	}
	return nil
}

type pythonBlock struct {
	trace
	text string
}

func (b *pythonBlock) frame(p *Parser, m []string) *pythonBlock {
	at := place{p.path(m[1]), number(m[2]), 0}
	if r := p.rankOf(at.file); r >= b.rank { // the last frame is nearest to the fault
		b.place, b.rank = at, r
	}
	return b
}

func (b *pythonBlock) take(p *Parser, line string) bool {
	line = pythonGroup.ReplaceAllString(line, "")
	if m := pythonFrame.FindStringSubmatch(line); m != nil {
		b.frame(p, m)
		return true
	}
	if b.text != "" {
		return false
	}
	if pythonError.MatchString(line) {
		b.text = line
		return true
	}
	return strings.HasPrefix(line, " ")
}

func (b *pythonBlock) end(p *Parser) { p.add(b.diagnostic("python", b.text)) }

// rustPanic is a panic, with or without a backtrace.
type rustPanic struct{}

var (
	rustBegin = regexp.MustCompile(`^thread '.*?'(?: \(\d+\))? panicked at (?:'(.*)', )?(.+?):(\d+):(\d+):?$`)
	rustFrame = regexp.MustCompile(`^\s+at (\S+\.rs):(\d+):(\d+)$`)
)

func (rustPanic) begin(p *Parser, line string) block {
	if !strings.HasPrefix(line, "thread '") {
		return nil
	}
	m := rustBegin.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	b := &rustBlock{text: m[1]}
	at := place{p.path(m[2]), number(m[3]), number(m[4])}
	b.trace.take(at, p.rankOf(at.file))
	return b
}

type rustBlock struct {
	trace
	text string
}

func (b *rustBlock) take(p *Parser, line string) bool {
	if b.text == "" {
		b.text = line
		return true
	}
	if m := rustFrame.FindStringSubmatch(line); m != nil {
		at := place{p.path(m[1]), number(m[2]), number(m[3])}
		b.trace.take(at, p.rankOf(at.file))
	}
	return line == "stack backtrace:" || strings.HasPrefix(line, "   ")
}

func (b *rustBlock) end(p *Parser) { p.add(b.diagnostic("rustc", "panic: "+b.text)) }

// java is an exception. A frame has a class and the name of a file; where its
// package lies is guessed from how projects are laid out.
type java struct{}

var (
	javaBegin = regexp.MustCompile(`^(?:Exception in thread ".*?" )?((?:[a-z_]\w*\.)+[A-Z][\w$.]*(?:: .*)?)$`)
	javaFrame = regexp.MustCompile(`^\s+at (?:[\w.@-]+/)*([\w.$]+)\.[\w$<>]+\(([\w$]+\.\w+):(\d+)\)$`)
	javaRoots = []string{"src/main/java", "src/main/kotlin", "src/main/scala", "app/src/main/java", "app/src/main/kotlin", "src", "."}
	javaKnown = []string{"java.", "javax.", "jdk.", "sun.", "com.sun.", "kotlin.", "scala.", "jakarta.", "org.springframework.", "org.apache.", "io.netty."}
)

func (java) begin(p *Parser, line string) block {
	if strings.HasPrefix(line, "Exception in thread ") {
		if m := javaBegin.FindStringSubmatch(line); m != nil {
			return &javaBlock{text: m[1]}
		}
		return nil
	}
	if !isFrame(line) || !javaFrame.MatchString(line) {
		return nil
	}
	m := javaBegin.FindStringSubmatch(p.last)
	if m == nil {
		return nil
	}
	b := &javaBlock{text: m[1]}
	b.take(p, line)
	return b
}

// isFrame is a quick look at what frames of Java and JavaScript have in common.
func isFrame(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " \t"), "at ") }

type javaBlock struct {
	trace
	text string
}

func (b *javaBlock) take(p *Parser, line string) bool {
	if cause, ok := strings.CutPrefix(line, "Caused by: "); ok {
		b.text += "\ncaused by: " + cause
		b.rank = min(b.rank, rankOther) // the first cause is nearest to the fault
		return len(b.text) < keptText
	}
	if m := javaFrame.FindStringSubmatch(line); m != nil {
		at, r := p.javaPlace(m[1], m[2], number(m[3]))
		b.trace.take(at, r)
		return true
	}
	return strings.HasPrefix(line, "\t")
}

func (b *javaBlock) end(p *Parser) { p.add(b.diagnostic("java", b.text)) }

func (p *Parser) javaPlace(class, file string, line int) (place, rank) {
	pkg := ""
	if i := strings.LastIndexByte(class, '.'); i >= 0 {
		pkg = strings.ReplaceAll(class[:i], ".", "/")
	}
	at := place{filepath.Join(p.opt.Dir, javaRoots[0], pkg, file), line, 0}
	if slices.ContainsFunc(javaKnown, func(prefix string) bool { return strings.HasPrefix(class, prefix) }) {
		return at, rankLibrary
	}
	if p.opt.Exists == nil {
		return at, rankProject
	}
	for _, root := range javaRoots {
		if path := filepath.Join(p.opt.Dir, root, pkg, file); p.opt.Exists(path) {
			at.file = path
			return at, rankProject
		}
	}
	return at, rankLibrary
}
