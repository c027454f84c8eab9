package build

import (
	"path/filepath"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// GoList is a `go list` whose output, given to ReadInputs, says what a build
// reads.
type GoList struct {
	Argv  []string
	Dir   string   // absolute
	Env   []string // KEY=VALUE that the command line sets, besides the build's environment
	Files []string // absolute; what the command line names besides packages
}

// listFields are the fields that ReadInputs looks at: go list is quicker with
// fewer.
const listFields = "-json=Dir,ImportPath,Name,Standard,DepOnly,Module,Error,DepsErrors,InvalidGoFiles,GoFiles,CgoFiles,IgnoredGoFiles," +
	"CFiles,CXXFiles,MFiles,HFiles,FFiles,SFiles,SwigFiles,SwigCXXFiles,SysoFiles,EmbedPatterns,EmbedFiles"

// GoLists returns what to run to learn what a command line reads, when all it
// does is to build with Go: `go build`, `go install` or `go run`, by itself or
// in a shell's words, with what has no input around it (mkdir, cd, go vet).
// It returns nil for everything else: what make reads, nobody knows.
func GoLists(command []string, dir string) []GoList {
	l := lister{dir: dir}
	if text, ok := shellText(command); ok {
		l.script(text)
	} else {
		l.call(command)
	}
	if l.unknown {
		return nil
	}
	return l.lists
}

// shellText returns what a shell is told to run.
func shellText(command []string) (string, bool) {
	if len(command) != 3 || !strings.HasPrefix(command[1], "-") || !strings.HasSuffix(command[1], "c") {
		return "", false
	}
	switch filepath.Base(command[0]) {
	case "sh", "bash", "dash", "zsh", "ash", "ksh":
		return command[2], true
	}
	return "", false
}

// lister reads a command line from left to right.
type lister struct {
	dir     string
	env     []string
	outputs []string // what -o names
	lists   []GoList
	unknown bool // something in it may read anything
}

// dynamic stands for a word that only a shell can expand.
const dynamic = "\x00"

func (l *lister) script(text string) {
	file, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil {
		l.unknown = true
		return
	}
	for _, s := range file.Stmts {
		l.statement(s)
	}
}

func (l *lister) statement(s *syntax.Stmt) {
	switch c := s.Cmd.(type) {
	case *syntax.CallExpr:
		env := l.env
		for _, a := range c.Assigns {
			if a.Name != nil && len(c.Args) > 0 {
				l.env = append(slices.Clone(l.env), a.Name.Value+"="+literal(a.Value))
			}
		}
		words := make([]string, len(c.Args))
		for i, w := range c.Args {
			words[i] = literal(w)
		}
		l.call(words)
		l.env = env
	case *syntax.DeclClause: // export
		for _, a := range c.Args {
			if a.Name != nil && a.Value != nil {
				l.env = append(l.env, a.Name.Value+"="+literal(a.Value))
			}
		}
	case *syntax.BinaryCmd:
		l.statement(c.X)
		l.statement(c.Y)
	default:
		l.unknown = l.unknown || s.Cmd != nil
	}
}

// literal returns what a word is, or dynamic.
func literal(w *syntax.Word) string {
	if w == nil {
		return ""
	}
	var b strings.Builder
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			b.WriteString(p.Value)
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			b.WriteString(literal(&syntax.Word{Parts: p.Parts}))
		default:
			return dynamic
		}
	}
	return b.String()
}

// inert are commands that read no file which matters.
var inert = []string{":", "true", "echo", "printf", "mkdir", "rm", "touch", "set", "test", "[", "chmod", "strip", "tee", "exit", "date", "umask"}

func (l *lister) call(words []string) {
	for len(words) > 0 && (words[0] == "exec" || words[0] == "time" || words[0] == "command") {
		words = words[1:]
	}
	if len(words) > 0 && filepath.Base(words[0]) == "env" {
		defer func(env []string) { l.env = env }(l.env)
		for words = words[1:]; len(words) > 0 && strings.Contains(words[0], "=") && words[0][0] != '-'; words = words[1:] {
			l.env = append(slices.Clone(l.env), words[0])
		}
	}
	switch {
	case len(words) == 0:
	case words[0] == "cd" && len(words) == 2 && !strings.Contains(words[1], dynamic):
		l.dir = l.below(words[1])
	case filepath.Base(words[0]) == "go":
		l.golang(words)
	case slices.Contains(inert, words[0]):
	case slices.Contains(l.outputs, l.below(words[0])): // what was just built is run
	default:
		l.unknown = true
	}
}

func (l *lister) below(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(l.dir, path)
}

// golang takes `go VERB …`.
func (l *lister) golang(words []string) {
	rest := words[1:]
	list := GoList{Dir: l.dir, Env: slices.Clone(l.env)}
	if len(rest) > 1 && rest[0] == "-C" {
		list.Dir, rest = l.below(rest[1]), rest[2:]
	}
	if len(rest) == 0 {
		return
	}
	switch verb := rest[0]; verb {
	case "build", "install", "run":
		flags, args := l.flags(&list, rest[1:])
		packages, ok := packagesOf(verb, args)
		all := append(append(flags, packages...), list.Dir)
		if !ok || strings.Contains(strings.Join(append(all, list.Env...), " "), dynamic) {
			l.unknown = true
			return
		}
		list.Argv = append(append([]string{words[0], "list", "-e", "-deps", listFields}, flags...), packages...)
		l.lists = append(l.lists, list)
	case "vet", "fmt", "mod", "env", "version", "clean", "telemetry":
	default:
		l.unknown = true
	}
}

// packagesOf returns the packages among the arguments of a verb: all of them,
// or with run those before the arguments of the program. One with a version
// is nobody's to edit.
func packagesOf(verb string, args []string) ([]string, bool) {
	if verb == "run" && len(args) > 0 {
		n := 1
		for strings.HasSuffix(args[0], ".go") && n < len(args) && strings.HasSuffix(args[n], ".go") {
			n++
		}
		args = args[:n]
	}
	if len(args) == 0 {
		return []string{"."}, true
	}
	return args, !slices.ContainsFunc(args, func(p string) bool { return strings.Contains(p, "@") })
}

// Flags of the go command that take a value, and those that change what is
// read: go list is given these.
var (
	valued = strings.Fields("C o p asmflags buildmode compiler covermode coverpkg exec gccgoflags gcflags installsuffix ldflags mod modfile overlay pgo pkgdir tags toolexec buildvcs")
	kept   = strings.Fields("tags mod modfile overlay race msan asan installsuffix compiler")
)

// flags returns those to keep, and the arguments behind all flags.
func (l *lister) flags(list *GoList, words []string) (keep, args []string) {
	for len(words) > 0 && strings.HasPrefix(words[0], "-") && words[0] != "-" {
		word := words[0]
		words = words[1:]
		if word == "--" {
			break
		}
		name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
		taken := !given && slices.Contains(valued, name) && name != "buildvcs" && len(words) > 0
		if taken {
			value, words = words[0], words[1:]
		}
		if name == "C" {
			list.Dir = l.below(value)
		}
		if name == "o" {
			l.outputs = append(l.outputs, absolute(list.Dir, value))
		}
		if name == "modfile" || name == "overlay" || name == "pgo" && value != "auto" && value != "off" {
			list.Files = append(list.Files, absolute(list.Dir, value))
		}
		if slices.Contains(kept, name) {
			keep = append(keep, "-"+name)
			if given || taken {
				keep[len(keep)-1] += "=" + value
			}
		}
	}
	return keep, words
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
