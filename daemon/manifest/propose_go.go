package manifest

import (
	gobuild "go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxEntries is how many files and directories are looked at for programs: a
// large monorepo has more, and its owner writes a manifest by hand.
const maxEntries = 20_000

// proposeGo finds the main packages of the module, or workspace, in dir.
func proposeGo(dir string) source {
	s := source{name: "main packages of Go"}
	workspace := isThere(filepath.Join(dir, "go.work"))
	if !workspace && !isThere(filepath.Join(dir, "go.mod")) {
		return s
	}
	entries := 0
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error { // what cannot be read has nothing to propose
		if entries++; entries > maxEntries {
			return filepath.SkipAll
		}
		if err != nil || !e.IsDir() {
			return nil
		}
		name := e.Name()
		other := path != dir && !workspace && isThere(filepath.Join(path, "go.mod"))
		if path != dir && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) || name == "vendor" || name == "testdata" || name == "node_modules" || other {
			return filepath.SkipDir
		}
		if file := mainFile(path); file != "" {
			s.services = append(s.services, goService(dir, path, file))
		}
		return nil
	})
	return s
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// mainFile is a file of package main that is built here, "" when there is none.
func mainFile(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") || !e.Type().IsRegular() {
			continue
		}
		if ok, err := gobuild.Default.MatchFile(dir, e.Name()); err != nil || !ok {
			continue
		}
		path := filepath.Join(dir, e.Name())
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly)
		if err == nil && file.Name.Name == "main" {
			return path
		}
		if err == nil {
			return "" // all files of a directory are of one package
		}
	}
	return ""
}

func goService(dir, path, file string) proposed {
	pkg := "."
	name := nameOf(filepath.Base(path))
	if short, err := filepath.Rel(dir, path); err == nil && short != "." {
		pkg = "./" + filepath.ToSlash(short)
	}
	one := proposed{name: name, lines: []string{
		"build: " + scalar("go build -o bin/"+name+" "+pkg),
		"command: bin/" + name,
	}}
	if text, err := readText(file); err == nil && strings.Contains(text, `"PORT"`) {
		one.lines = append(one.lines, "ports: {http: auto} # where it is reached; it listens on $PORT")
	} else {
		one.lines = append(one.lines, "# ports: {http: auto} # if it listens; it finds where in $PORT")
	}
	return one
}
