package main

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/daemon/build"
	"github.com/stead-dev/stead/runtime"
)

// diagnose reads output for the daemon.
func diagnose(o daemon.Output) daemon.Diagnoser {
	options := build.Options{
		Dir: o.Service.Spec.Dir, Project: o.Project.Directory, Exists: exists,
		Service: o.Service.Name, Generation: o.Generation, Cause: o.Cause,
		// What compiles when it is started says as a service what a build says.
		Running: !o.Build && (o.Ready || !compiles(o.Service.Spec.Command)),
	}
	if o.Build && o.Service.Build != nil {
		options.Dir = o.Service.Build.Dir
	}
	for _, m := range o.Service.Matchers {
		if matcher, err := build.NewMatcher(build.MatcherSpec(m)); err == nil { // the manifest has refused others
			options.Matchers = append(options.Matchers, matcher)
		}
	}
	return quoting{build.NewParser(options)}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// compilers are what compiles a program before it runs it, besides go run.
var compilers = []string{"cargo", "npm", "pnpm", "yarn", "npx", "bun", "deno", "tsx", "ts-node", "dotnet", "mvn", "gradle", "make"}

// compiles reports whether a command builds what it runs.
func compiles(command []string) bool {
	if build.GoLists(command, "/") != nil {
		return true
	}
	words := command
	if len(words) == 3 && strings.HasSuffix(words[1], "c") { // a shell's
		words = strings.Fields(words[2])
	}
	for _, word := range words {
		if !strings.Contains(word, "=") && word != "exec" {
			for _, c := range compilers {
				if filepath.Base(word) == c {
					return true
				}
			}
			break
		}
	}
	return false
}

// quoting is a parser that quotes the lines that diagnostics are about, where
// the compiler has not: people may have no editor open.
type quoting struct{ *build.Parser }

// Bounds of what is read to quote lines.
const (
	quotedDiagnostics = 20
	quotedFile        = 4 << 20 // bytes
	quotedLine        = 250     // bytes
)

// Diagnostics implements daemon.Diagnoser.
func (q quoting) Diagnostics() ([]runtime.Diagnostic, int) {
	list, dropped := q.Parser.Diagnostics()
	for i := range list[:min(len(list), quotedDiagnostics)] {
		if d := &list[i]; d.Source == "" && d.Line > 0 {
			d.Source = lineOf(d.File, d.Line)
		}
	}
	return list, dropped
}

// lineOf returns one line of a file, "" when there is none that is text.
func lineOf(path string, number int) string {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, quotedFile))
	for n := 1; lines.Scan(); n++ {
		if n == number && len(lines.Bytes()) <= quotedLine {
			return strings.ToValidUTF8(strings.TrimRight(lines.Text(), "\r"), "\uFFFD")
		}
	}
	return ""
}
