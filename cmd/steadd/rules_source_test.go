package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is one Go file of the product: no test, nothing below testdata or a
// folder that begins with a dot.
type source struct {
	folder string // below the root, with slashes
	name   string
	text   string
	file   *ast.File
	set    *token.FileSet
}

func parse(folder, name, text string) (source, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path.Join(folder, name), text, parser.ParseComments|parser.SkipObjectResolution)
	return source{folder, name, text, file, set}, err
}

func (s source) at(n ast.Node, format string, args ...any) string {
	return s.set.Position(n.Pos()).String() + ": " + fmt.Sprintf(format, args...)
}

func (s source) generated() bool { return ast.IsGenerated(s.file) }

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(folder), name, string(text))
		if err != nil {
			return err
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d files were found", len(all))
	}
	return all
}

func TestSource(t *testing.T) {
	all := sources(t)
	for _, broken := range append(checkSources(all), comments(all)...) {
		t.Error(broken)
	}
	for _, s := range all {
		if n := strings.Count(s.text, "\n"); n > 400 && !s.generated() {
			t.Logf("%s/%s has %d lines: files are near 150, rarely over 400", s.folder, s.name, n)
		}
	}
}

// checkSources returns what breaks a house rule in a single file.
func checkSources(all []source) []string {
	var broken []string
	for _, s := range all {
		if s.generated() {
			continue
		}
		broken = append(broken, packageName(s)...)
		broken = append(broken, imports(s)...)
		broken = append(broken, inits(s)...)
		broken = append(broken, calls(s)...)
	}
	return broken
}

// comments returns packages that do not have exactly one package comment.
func comments(all []source) []string {
	documented := map[string][]string{} // by folder: names of files
	for _, s := range all {
		if s.generated() {
			continue
		}
		files := documented[s.folder]
		if s.file.Doc.Text() != "" {
			files = append(files, s.name)
		}
		documented[s.folder] = files
	}
	var broken []string
	for folder, files := range documented {
		if len(files) != 1 {
			broken = append(broken, fmt.Sprintf("%s: package comments in %v: every package has one, which says what it promises", folder, files))
		}
	}
	slices.Sort(broken)
	return broken
}

func packageName(s source) []string {
	if slices.Contains([]string{"util", "utils", "common", "helpers", "types", "manager", "base"}, s.file.Name.Name) {
		return []string{s.at(s.file.Name, "package %s: names are nouns for what a package holds", s.file.Name.Name)}
	}
	return nil
}

func imports(s source) []string {
	var broken []string
	for _, i := range s.file.Imports {
		if i.Path.Value == `"runtime"` && (i.Name == nil || i.Name.Name != "goruntime") {
			broken = append(broken, s.at(i, "the standard runtime is imported as goruntime, ours has the name"))
		}
	}
	return broken
}

func inits(s source) []string {
	var broken []string
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			broken = append(broken, s.at(f, "init: cmd/steadd/wire.go lists every part in plain calls"))
		}
	}
	return broken
}

// calls finds uses of functions that are for some packages only. A use
// without a call counts: a clock that is handed in is made in wire.go.
func calls(s source) []string {
	var broken []string
	// What the conformance suite runs as a service is a program too.
	program := s.file.Name.Name == "main" || s.folder == "runtime/conformance"
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "panic" && !program && !cannotHappen(s, n) {
				broken = append(broken, s.at(n, "panic is for main, or for what cannot happen (say so in a comment beside it)"))
			}
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			name := imported(s, pkg.Name) + "." + n.Sel.Name
			switch {
			case name == "time.Sleep":
				broken = append(broken, s.at(n, "time.Sleep outside of tests: wait for what is meant, or use a timer with a way out"))
			case !program && (name == "os.Exit" || strings.HasPrefix(name, "log.Fatal") || strings.HasPrefix(name, "log.Panic")):
				broken = append(broken, s.at(n, "%s is for main: return an error", name))
			case s.folder == "supervisor" && slices.Contains(clock, name):
				broken = append(broken, s.at(n, "%s in supervisor: Step is given the time", name))
			}
		}
		return true
	})
	return broken
}

var clock = []string{"time.Now", "time.Since", "time.Until", "time.After", "time.AfterFunc", "time.NewTimer", "time.NewTicker", "time.Tick"}

// imported returns the path of the package that goes by name in the file.
func imported(s source, name string) string {
	for _, i := range s.file.Imports {
		p := strings.Trim(i.Path.Value, `"`)
		if i.Name != nil && i.Name.Name == name || i.Name == nil && path.Base(p) == name {
			return p
		}
	}
	return ""
}

// cannotHappen looks for the words in a comment that ends on the line of n or
// on the line before it, or begins on its line.
func cannotHappen(s source, n ast.Node) bool {
	line := s.set.Position(n.Pos()).Line
	for _, c := range s.file.Comments {
		begin, end := s.set.Position(c.Pos()).Line, s.set.Position(c.End()).Line
		if (begin == line || end == line || end == line-1) && strings.Contains(c.Text(), "cannot happen") {
			return true
		}
	}
	return false
}

func TestSourceRulesFindViolations(t *testing.T) {
	for _, c := range []struct {
		folder, text string
		want         string // part of the one complaint; empty: all is well
	}{
		{"daemon", "package daemon\nfunc f() { panic(1) }", "panic is for main"},
		{"daemon", "package daemon\nfunc f() { panic(1) } // cannot happen: why", ""},
		{"daemon", "package daemon\nfunc f() {\n\t// This cannot happen.\n\tpanic(1)\n}", ""},
		{"cmd/x", "package main\nfunc f() { panic(1) }", ""},
		{"daemon", "package daemon\nimport \"os\"\nfunc f() { os.Exit(1) }", "os.Exit is for main"},
		{"cmd/x", "package main\nimport \"os\"\nfunc f() { os.Exit(1) }", ""},
		{"daemon", "package daemon\nimport \"log\"\nfunc f() { log.Fatalf(\"x\") }", "log.Fatalf is for main"},
		{"daemon", "package daemon\nimport \"time\"\nfunc f() { time.Sleep(1) }", "time.Sleep outside"},
		{"daemon", "package daemon\nimport \"time\"\nvar nap = time.Sleep", "time.Sleep outside"},
		{"daemon", "package daemon\nimport t \"time\"\nfunc f() { t.Sleep(1) }", "time.Sleep outside"},
		{"daemon", "package daemon\nfunc f(time interface{ Sleep(int) }) { time.Sleep(1) }", ""},
		{"supervisor", "package supervisor\nimport \"time\"\nvar t = time.Now", "Step is given the time"},
		{"supervisor", "package supervisor\nimport \"time\"\nvar t time.Time", ""},
		{"daemon", "package daemon\nimport \"time\"\nvar t = time.Now", ""},
		{"daemon", "package daemon\nfunc init() {}", "init: cmd/steadd/wire.go"},
		{"ipc/steadpb", "// Code generated by x. DO NOT EDIT.\n\npackage steadpb\nfunc init() {}", ""},
		{"daemon", "package daemon\nimport \"runtime\"\nvar x = runtime.GOOS", "imported as goruntime"},
		{"daemon", "package daemon\nimport goruntime \"runtime\"\nvar x = goruntime.GOOS", ""},
		{"daemon/util", "package util", "nouns for what"},
	} {
		s, err := parse(c.folder, "x.go", c.text)
		if err != nil {
			t.Fatal(err)
		}
		broken := checkSources([]source{s})
		if c.want == "" && len(broken) > 0 || c.want != "" && (len(broken) != 1 || !strings.Contains(broken[0], c.want)) {
			t.Errorf("complaints %q, want one with %q, about:\n%s", broken, c.want, c.text)
		}
	}
}

func TestCommentRuleFindsViolations(t *testing.T) {
	const with, without = "// Package p promises.\npackage p", "//go:build linux\n\npackage p"
	for _, c := range []struct {
		files []string
		want  int
	}{
		{[]string{with, without}, 0},
		{[]string{with, with}, 1},
		{[]string{without}, 1},
		{[]string{"// Code generated by x. DO NOT EDIT.\n\npackage p"}, 0},
	} {
		var all []source
		for i, text := range c.files {
			s, err := parse("p", fmt.Sprintf("%d.go", i), text)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		if broken := comments(all); len(broken) != c.want {
			t.Errorf("complaints %q, want %d, about %q", broken, c.want, c.files)
		}
	}
}
