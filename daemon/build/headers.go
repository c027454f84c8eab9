package build

import (
	"bytes"
	"go/parser"
	"go/token"
	"hash/fnv"
	"path/filepath"
	"slices"
	"strings"
)

// Headers remembers what Go files say about the build: their package, what
// they import and embed, and for which builds they are. The zero value
// remembers nothing. It belongs to one goroutine at a time.
type Headers struct {
	seen map[string]uint64
}

// Changed reports whether that has changed in the file at path since it was
// asked last, or it is asked for the first time. A file that does not parse
// has not changed: it is no use to ask go list about it.
func (h *Headers) Changed(path string, source []byte) bool {
	now, ok := header(source)
	if !ok {
		return false
	}
	before, known := h.seen[path]
	if h.seen == nil {
		h.seen = map[string]uint64{}
	}
	h.seen[path] = now
	return !known || before != now
}

// header is a hash of what matters to go list.
func header(source []byte) (uint64, bool) {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return 0, false
	}
	parts := []string{"package " + file.Name.Name}
	for _, i := range file.Imports {
		parts = append(parts, i.Path.Value)
	}
	for _, directive := range []string{"//go:build ", "// +build ", "//go:embed "} {
		for line := range bytes.Lines(source) {
			if bytes.HasPrefix(line, []byte(directive)) {
				parts = append(parts, string(bytes.TrimSpace(line)))
			}
		}
	}
	slices.Sort(parts)
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(strings.Join(slices.Compact(parts), "\n"))) // never fails
	return sum.Sum64(), true
}

// Outdated reports whether a change of path may have made in itself untrue,
// so that the GoList is to be run anew; source is what the file has now, nil
// when it is gone. The first time that it sees a file it says so, too, since
// it does not know what was there before.
func (in *Inputs) Outdated(h *Headers, path string, source []byte) bool {
	dir, name := filepath.Split(path)
	d := in.dirs[filepath.Clean(dir)]
	switch {
	case filepath.Ext(name) == ".go" && d != nil && d.ignored[name]:
		return source == nil || h.Changed(path, source)
	case !in.Affects(path):
		return false
	case filepath.Ext(name) == ".go":
		changed := source == nil || h.Changed(path, source)
		return changed || !in.files[path]
	case in.dirs[path] != nil:
		return true
	}
	switch name {
	case "go.mod", "go.work", "modules.txt":
		return true
	}
	return false
}
