package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/daemon/build"
	"github.com/stead-dev/stead/daemon/manifest"
)

// inputter finds what services are made of: exactly, where a build is Go's;
// by what their directory looks like elsewhere; and what the manifest says.
type inputter struct{}

// Guess implements daemon.Inputter.
func (inputter) Guess(s daemon.Service) daemon.Inputs {
	in, ok := written(s)
	if !ok {
		return nil
	}
	if in.auto {
		in.guess(s)
	}
	return in
}

// Find implements daemon.Inputter.
func (inputter) Find(ctx context.Context, s daemon.Service, run daemon.Run) (daemon.Inputs, error) {
	in, ok := written(s)
	switch {
	case !ok:
		return nil, nil
	case !in.auto:
		return in, nil
	}
	in.guess(s)
	for _, command := range commands(s) {
		for _, list := range build.GoLists(command.argv, command.dir) {
			found, err := goInputs(ctx, list, run)
			if err != nil {
				return nil, err
			}
			in.list = in.list.Union(found)
		}
	}
	return in, nil
}

// command is something that a service runs, with the directory it is run in.
type command struct {
	argv []string
	dir  string
}

func commands(s daemon.Service) []command {
	all := []command{{s.Spec.Command, s.Spec.Dir}}
	if s.Build != nil {
		all = append(all, command{s.Build.Command, s.Build.Dir})
	}
	return all
}

// goInputs runs one go list.
func goInputs(ctx context.Context, list build.GoList, run daemon.Run) (*build.Inputs, error) {
	environment := map[string]string{}
	for _, one := range list.Env {
		key, value, _ := strings.Cut(one, "=")
		environment[key] = value
	}
	out, in := io.Pipe()
	type answer struct {
		inputs *build.Inputs
		err    error
	}
	read := make(chan answer, 1)
	go func() { // ends with out
		inputs, err := build.ReadInputs(out, list)
		out.CloseWithError(err)
		read <- answer{inputs, err}
	}()
	err := run(ctx, list.Argv, list.Dir, environment, func(data []byte) { _, _ = in.Write(data) })
	_ = in.CloseWithError(err)
	a := <-read
	if err == nil {
		err = a.err
	}
	if err != nil {
		return nil, fmt.Errorf("find out what %s reads: %w", strings.Join(list.Argv, " "), err)
	}
	return a.inputs, nil
}

// inputs are what one service is made of.
type inputs struct {
	watch   manifest.Watch
	auto    bool
	list    *build.Inputs // what a Go build reads; nil: not known
	headers build.Headers // of the files in list
	globs   []string      // absolute; while list is not known
	ignore  []string      // absolute
}

// written is what the manifest says; ok is false when nothing is watched.
func written(s daemon.Service) (in *inputs, ok bool) {
	w := manifest.Watch{Mode: manifest.WatchMode(s.Watch.Mode), Dir: s.Watch.Dir, Paths: s.Watch.Paths, Ignore: s.Watch.Ignore, Poll: s.Watch.Poll}
	return &inputs{watch: w, auto: w.Mode == manifest.WatchAuto}, w.Mode == manifest.WatchAuto || w.Mode == manifest.WatchPaths
}

// guess goes by the kind of project that the service's directory is.
func (in *inputs) guess(s daemon.Service) {
	var names []string
	entries, _ := os.ReadDir(in.watch.Dir) // one that cannot be read has nothing to be watched
	for _, e := range entries {
		names = append(names, e.Name())
	}
	globs := build.Defaults(names, s.Spec.Command)
	in.globs, in.ignore = below(in.watch.Dir, globs.Paths), below(in.watch.Dir, globs.Ignore)
	if program := s.Spec.Command[0]; s.Build != nil && strings.Contains(program, "/") { // it is what the build makes
		if !filepath.IsAbs(program) {
			program = filepath.Join(s.Spec.Dir, program)
		}
		in.ignore = append(in.ignore, manifest.Literally(program))
	}
}

// below makes patterns absolute.
func below(dir string, patterns []string) []string {
	var all []string
	for _, p := range patterns {
		if !filepath.IsAbs(p) {
			p = manifest.Literally(dir) + "/" + p
		}
		all = append(all, p)
	}
	return all
}

// Affects implements daemon.Inputs.
func (in *inputs) Affects(path string) bool {
	switch {
	case in.watch.Ignores(path):
		return false
	case in.watch.Covers(path):
		return true
	case in.list != nil:
		return in.list.Affects(path)
	}
	return manifest.Matches(in.globs, path) && !manifest.Matches(in.ignore, path)
}

// headerLimit is more than any Go file's imports take.
const headerLimit = 1 << 20

// Stale implements daemon.Inputs.
func (in *inputs) Stale(path string) bool {
	if in.list == nil {
		return false
	}
	return in.list.Outdated(&in.headers, path, head(path))
}

// head is the beginning of a file, nil when there is none.
func head(path string) []byte {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, headerLimit)) // what cannot be read has no header
	if text == nil {
		text = []byte{}
	}
	return text
}

// goFiles are what a Go build may read besides the files that it names.
var goFiles = []string{"*.go", "go.mod", "go.sum", "go.work", "go.work.sum", "*.c", "*.cc", "*.cpp", "*.h", "*.hpp", "*.s", "*.S"}

// Roots implements daemon.Inputs. They are wider than what Affects, so that
// services of a project share a tree.
func (in *inputs) Roots() []daemon.WatchRoot {
	roots := in.rootsAnyhow()
	for i := range roots {
		roots[i].Poll = in.watch.Poll
	}
	return roots
}

func (in *inputs) rootsAnyhow() []daemon.WatchRoot {
	var roots []daemon.WatchRoot
	for _, at := range in.watch.Roots() {
		roots = append(roots, rootAt(at))
	}
	switch {
	case in.list != nil:
		root := daemon.WatchRoot{Dir: in.watch.Dir, Include: goFiles, Files: in.list.Files(), Gitignore: true}
		roots = append(roots, root)
		for _, dir := range in.list.Directories() {
			if rel, err := filepath.Rel(in.watch.Dir, dir); err != nil || !filepath.IsLocal(rel) {
				roots = append(roots, daemon.WatchRoot{Dir: dir, Flat: true, Include: goFiles})
			}
		}
	case in.auto && len(in.globs) > 0:
		root := daemon.WatchRoot{Dir: in.watch.Dir, Gitignore: true}
		for _, glob := range in.globs {
			if rel, ok := strings.CutPrefix(glob, manifest.Literally(in.watch.Dir)+"/"); ok {
				root.Include = append(root.Include, rel)
			} else {
				roots = append(roots, rootAt(glob))
			}
		}
		slices.Sort(root.Include)
		if len(root.Include) > 0 {
			roots = append(roots, root)
		}
	}
	return roots
}

// rootAt watches a directory with all below, or a file, which may not be there
// yet and may become a directory.
func rootAt(path string) daemon.WatchRoot {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return daemon.WatchRoot{Dir: path}
	}
	name := filepath.Base(path)
	return daemon.WatchRoot{Dir: filepath.Dir(path), Include: []string{"/" + manifest.Literally(name)}, Files: []string{name}}
}
