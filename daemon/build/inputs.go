package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// Bounds of ReadInputs: Kubernetes, all of it, has 2 MB and 20,000 files.
const (
	listBytes = 256 << 20
	listFiles = 500_000
)

// Inputs is what a Go build reads: files, and directories in which more may
// appear. It is immutable; nil is read by nobody.
type Inputs struct {
	// Partial is set while something does not parse, or an import is not
	// there: what that would read in turn is not known. Use Union with the
	// Inputs from before, then.
	Partial bool

	files map[string]bool
	dirs  map[string]*directoryInputs
	roots []string // where go was run: go.work is looked for from there upwards
	alone bool     // files were named instead of packages: which go.mod counts is not known
}

// directoryInputs is one package of the build.
type directoryInputs struct {
	ignored map[string]bool // left out by build constraints
	foreign bool            // has C or assembly, or could
	embeds  []string        // patterns of //go:embed
}

// listed is a package as go list prints it.
type listed struct {
	Dir, ImportPath, Name             string
	Standard, DepOnly                 bool
	Module                            *module
	Error                             *struct{ Err string }
	DepsErrors                        []struct{ Err string }
	GoFiles, CgoFiles, InvalidGoFiles []string
	IgnoredGoFiles                    []string
	CFiles, CXXFiles, MFiles, HFiles  []string
	FFiles, SFiles, SysoFiles         []string
	SwigFiles, SwigCXXFiles           []string
	EmbedPatterns, EmbedFiles         []string
}

type module struct {
	Path, Version, Dir, GoMod string
	Replace                   *module
}

// ReadInputs reads the output of a GoList. What comes with Go, and what the
// module cache holds, is left out: nobody edits it.
func ReadInputs(output io.Reader, of GoList) (*Inputs, error) {
	in := &Inputs{files: map[string]bool{}, dirs: map[string]*directoryInputs{}, roots: []string{of.Dir}}
	for _, file := range of.Files {
		in.files[file] = true
	}
	limited := &io.LimitedReader{R: output, N: listBytes}
	var absent []string // import paths of packages that are not there
	modules := map[string]string{}
	for decoder := json.NewDecoder(limited); ; {
		var p listed
		err := decoder.Decode(&p)
		if err == io.EOF {
			break
		}
		if limited.N <= 0 || len(in.files) > listFiles {
			return nil, fmt.Errorf("read the output of go list: more than anybody builds: %w", runtime.Invalid)
		}
		if err != nil {
			return nil, fmt.Errorf("read the output of go list: %w", errors.Join(err, runtime.Invalid))
		}
		in.Partial = in.Partial || p.Error != nil || len(p.DepsErrors) > 0
		switch {
		case p.Standard:
		case p.Dir == "":
			absent = append(absent, p.ImportPath)
		case !p.cached():
			in.add(p, modules)
		}
	}
	if len(in.dirs) == 0 && len(absent) == 0 {
		return nil, fmt.Errorf("read the output of go list: it names no package to build: %w", runtime.Invalid)
	}
	in.expect(absent, modules)
	return in, nil
}

// cached reports whether a package is in the module cache: its module has a
// version, and neither is replaced by a directory nor vendored.
func (p listed) cached() bool {
	m := p.Module
	if m == nil {
		return false
	}
	if m.Replace != nil {
		m = m.Replace
	}
	return m.Version != "" && m.Dir != "" && within(m.Dir, p.Dir)
}

func (in *Inputs) add(p listed, modules map[string]string) {
	d := &directoryInputs{ignored: map[string]bool{}, embeds: p.EmbedPatterns}
	for _, group := range [][]string{
		p.GoFiles, p.CgoFiles, p.InvalidGoFiles, p.CFiles, p.CXXFiles, p.MFiles, p.HFiles, p.FFiles, p.SFiles,
		p.SysoFiles, p.SwigFiles, p.SwigCXXFiles, p.EmbedFiles,
	} {
		for _, name := range group {
			in.files[absolute(p.Dir, name)] = true
		}
	}
	for _, name := range p.IgnoredGoFiles {
		d.ignored[name] = true
	}
	d.foreign = len(p.CgoFiles)+len(p.SFiles)+len(p.SwigFiles) > 0
	in.dirs[p.Dir] = d
	if p.Name == "main" && !p.DepOnly {
		in.files[filepath.Join(p.Dir, "default.pgo")] = true // read when it is there
	}
	in.addModule(p, modules)
}

func (in *Inputs) addModule(p listed, modules map[string]string) {
	m := p.Module
	if m == nil {
		in.alone = in.alone || p.ImportPath == "command-line-arguments"
		return
	}
	path := m.Path
	if m.Replace != nil {
		m = m.Replace
	}
	if m.GoMod == "" || m.Version != "" { // vendored
		return
	}
	modules[path] = m.Dir
	in.files[m.GoMod] = true
	in.files[strings.TrimSuffix(m.GoMod, ".mod")+".sum"] = true
	in.files[filepath.Join(m.Dir, "vendor", "modules.txt")] = true
}

// expect adds directories of packages that are imported and not there yet.
func (in *Inputs) expect(absent []string, modules map[string]string) {
	for _, path := range absent {
		for prefix, dir := range modules {
			if rest, ok := strings.CutPrefix(path, prefix+"/"); ok {
				in.dirs[filepath.Join(dir, rest)] = &directoryInputs{}
			}
		}
	}
}

// Union returns what either reads; either may be nil.
func (in *Inputs) Union(other *Inputs) *Inputs {
	if in == nil || other == nil {
		if in == nil {
			return other
		}
		return in
	}
	all := &Inputs{
		Partial: in.Partial || other.Partial, alone: in.alone || other.alone,
		files: map[string]bool{}, dirs: map[string]*directoryInputs{},
	}
	for _, one := range []*Inputs{in, other} { // a directory is as the second one knows it
		for file := range one.files {
			all.files[file] = true
		}
		for dir, d := range one.dirs {
			all.dirs[dir] = d
		}
		for _, root := range one.roots {
			if !slices.Contains(all.roots, root) {
				all.roots = append(all.roots, root)
			}
		}
	}
	return all
}

// Files returns the files that are read and can be named, sorted; some may
// not exist.
func (in *Inputs) Files() []string { return sortedKeys(in.files) }

// Directories returns those of packages, sorted: what has to be watched,
// besides the directories of Files.
func (in *Inputs) Directories() []string { return sortedKeys(in.dirs) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Affects reports whether a build reads path (absolute and clean), or would
// if it were there.
func (in *Inputs) Affects(path string) bool {
	if in == nil {
		return false
	}
	if in.files[path] || in.dirs[path] != nil {
		return true
	}
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)
	if d := in.dirs[dir]; d != nil && d.mayRead(name) {
		return true
	}
	return in.workspace(dir, name) || in.embedded(path)
}

// mayRead reports whether a file of a package's directory is built when it
// appears.
func (d *directoryInputs) mayRead(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || strings.HasSuffix(name, "_test.go") {
		return false
	}
	switch filepath.Ext(name) {
	case ".go":
		return !d.ignored[name]
	case ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for", ".f90", ".s", ".S", ".sx", ".swig", ".swigcxx", ".syso":
		return d.foreign
	}
	return false
}

// workspace reports whether a file of this name counts by where it is: go
// looks for it in the directory it runs in and those above.
func (in *Inputs) workspace(dir, name string) bool {
	switch name {
	case "go.work", "go.work.sum":
	case "go.mod", "go.sum":
		if !in.alone {
			return false
		}
	default:
		return false
	}
	return slices.ContainsFunc(in.roots, func(root string) bool { return within(dir, root) })
}

// embedded reports whether some package's //go:embed has path in it.
func (in *Inputs) embedded(file string) bool {
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		if d := in.dirs[dir]; d != nil && len(d.embeds) > 0 {
			relative := strings.TrimPrefix(strings.TrimPrefix(file, dir), "/")
			if slices.ContainsFunc(d.embeds, func(pattern string) bool { return embeds(pattern, relative) }) {
				return true
			}
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

// embeds matches as package embed says: a pattern that names a directory has
// all below it, without names that begin with . or _ unless it says all.
func embeds(pattern, file string) bool {
	pattern, all := strings.CutPrefix(pattern, "all:")
	if pattern == "." {
		pattern = "*"
	}
	elements, names := strings.Split(pattern, "/"), strings.Split(file, "/")
	if len(names) < len(elements) {
		return false
	}
	for i, element := range elements {
		if ok, err := path.Match(element, names[i]); err != nil || !ok {
			return false
		}
	}
	return all || !slices.ContainsFunc(names[len(elements):], func(name string) bool {
		return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
	})
}
