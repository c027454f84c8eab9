package watch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stead-dev/stead/daemon/watch/ignore"
)

// defaults are what no project has its sources in: what editors, version
// control, package managers and interpreters leave behind. Names that some
// project uses for sources (dist, build, out, vendor, bin, *.log) are not
// here: .gitignore mostly has them, and what a reload itself writes is found.
var defaults = ignore.Parse(`
.hg/
.svn/
.jj/
.bzr/
CVS/
.gitignore
.steadignore
.gitattributes
.DS_Store
.idea/
.vscode/
.vs/
.fleet/
*~
.*.sw?
.sw?
4913
.#*
\#*#
*___jb_tmp___
*___jb_old___
.goutputstream-*
.~lock.*#
.nfs*
.fuse_hidden*
node_modules/
bower_components/
.pnpm-store/
.parcel-cache/
.next/
.nuxt/
.svelte-kit/
.turbo/
__pycache__/
*.pyc
.venv/
.tox/
.nox/
.mypy_cache/
.pytest_cache/
.ruff_cache/
.hypothesis/
.ipynb_checkpoints/
*.egg-info/
.gradle/
.terraform/
.direnv/
.devenv/
.zig-cache/
zig-cache/
.dart_tool/
.stack-work/
bazel-*/
.stead/
`)

// telltales are files beside (../) or in a directory of that name which show
// that it is made by a tool.
var telltales = map[string][]string{
	"target":     {"../Cargo.toml", "../pom.xml", "../build.sbt", "../project.clj"},
	"venv":       {"pyvenv.cfg"},
	"env":        {"pyvenv.cfg"},
	"virtualenv": {"pyvenv.cfg"},
}

// ignoreFiles are read, but are not sources themselves.
const (
	gitIgnoreFile   = ".gitignore"
	steadIgnoreFile = ".steadignore"
)

// filter is what of a root's files counts. It is immutable; ignore files in
// the tree belong to its nodes.
type filter struct {
	root    Root
	include ignore.List
	ignore  ignore.List
	exact   map[string]bool // Files
	leads   map[string]bool // directories on the way to them
	above   []scoped        // ignore files above the root, nearest last
}

// scoped is a list that lies above the root.
type scoped struct {
	prefix string // from the list to the root, with a trailing slash
	git    ignore.List
	stead  ignore.List
}

func newFilter(root Root, repository string) *filter {
	f := &filter{
		root:    root,
		include: ignore.Parse(strings.Join(root.Include, "\n")),
		ignore:  ignore.Parse(strings.Join(root.Ignore, "\n")),
		exact:   make(map[string]bool, len(root.Files)),
		leads:   make(map[string]bool),
	}
	for _, file := range root.Files {
		f.exact[file] = true
		for i, c := range file {
			if c == '/' {
				f.leads[file[:i]] = true
			}
		}
	}
	f.readAbove(repository)
	return f
}

// readAbove reads the ignore files of a repository from its top down to the
// root's parent.
func (f *filter) readAbove(repository string) {
	if !f.root.Gitignore || repository == "" {
		return
	}
	rel, err := filepath.Rel(repository, f.root.Dir)
	if err != nil || !filepath.IsLocal(rel) {
		return
	}
	prefix := ""
	if rel != "." {
		prefix = filepath.ToSlash(rel) + "/"
	}
	if gitDir := findGitDir(repository); gitDir != "" {
		f.above = append(f.above, scoped{prefix: prefix, git: readList(filepath.Join(gitDir, "info", "exclude"))})
	}
	for dir := repository; prefix != ""; {
		f.above = append(f.above, scoped{prefix, readList(filepath.Join(dir, gitIgnoreFile)), readList(filepath.Join(dir, steadIgnoreFile))})
		var name string
		name, prefix, _ = strings.Cut(prefix, "/")
		dir = filepath.Join(dir, name)
	}
}

func readList(path string) ignore.List {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return ignore.Parse(string(text))
}

// admitsFile says whether a file of the node counts.
func (n *node) admitsFile(name string) bool {
	f, rel := n.tree.filter, n.rel(name)
	if f.exact[rel] {
		return true
	}
	if n.exactly || len(f.include) == 0 || n.ignores(name, false) {
		return false
	}
	return n.all || f.include.Match(rel, false) == ignore.Ignored
}

// admission of a directory.
type admission int

const (
	refused admission = iota
	exactly           // it is ignored, but has exact files below
	partly            // some of its files may be included
	wholly            // all are, but for what is ignored
)

func (n *node) admitsDir(name string) admission {
	f, rel := n.tree.filter, n.rel(name)
	otherwise := refused
	if f.leads[rel] {
		otherwise = exactly
	}
	if n.exactly || f.root.Flat || len(f.include) == 0 || n.ignores(name, true) {
		return otherwise
	}
	if n.all || f.include.Match(rel, true) == ignore.Ignored {
		return wholly
	}
	if f.include.Below(rel) {
		return partly
	}
	return otherwise
}

// ignores asks the manifest, .steadignore files, .gitignore files, and the
// defaults, in this order; in each the nearest file comes first. Only the
// first two may bring back what a default ignores: `*`, `!*/`, `!*.go` is no
// wish for node_modules.
func (n *node) ignores(name string, dir bool) bool {
	if name == ".git" {
		return true
	}
	f := n.tree.filter
	rel := n.rel(name)
	verdict := f.ignore.Match(rel, dir)
	if verdict == ignore.Silent {
		verdict = n.nested(name, dir, func(n *node) ignore.List { return n.stead }, func(s scoped) ignore.List { return s.stead })
	}
	if verdict != ignore.Silent {
		return verdict == ignore.Ignored
	}
	if f.root.Gitignore && n.nested(name, dir, func(n *node) ignore.List { return n.git }, func(s scoped) ignore.List { return s.git }) == ignore.Ignored {
		return true
	}
	return defaults.Match(name, dir) == ignore.Ignored || dir && n.generated(name)
}

// nested asks the lists of a node and its parents.
func (n *node) nested(name string, dir bool, of func(*node) ignore.List, above func(scoped) ignore.List) ignore.Verdict {
	rel := name
	for ; n != nil; n = n.up {
		if v := of(n).Match(rel, dir); v != ignore.Silent {
			return v
		}
		if n.up == nil {
			break
		}
		rel = filepath.Base(n.path) + "/" + rel
	}
	for _, s := range slices.Backward(n.tree.filter.above) {
		if v := above(s).Match(s.prefix+rel, dir); v != ignore.Silent {
			return v
		}
	}
	return ignore.Silent
}

func (n *node) generated(name string) bool {
	for _, file := range telltales[name] {
		if _, err := os.Lstat(filepath.Join(n.path, name, file)); err == nil {
			return true
		}
	}
	return false
}
