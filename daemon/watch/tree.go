package watch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stead-dev/stead/daemon/watch/ignore"
)

// tree is a root of a project, with what is known of its files.
type tree struct {
	project string
	filter  *filter
	gitDir  string           // of the repository that the root is in, else ""
	top     *node            // nil while there is no such directory
	reals   map[string]*node // by canonical path: each directory is entered once
	reread  bool             // ignore files changed
}

// node is a directory that counts.
type node struct {
	tree *tree
	up   *node
	path string // as told to the consumer
	real string // canonical
	id   fileID

	all        bool // all files count, by Include
	exactly    bool // exact files count, and nothing else
	link       bool // reached by a symbolic link
	held       bool // its watch is acquired
	unreadable bool
	slow       bool // it is polled; better not read its files in advance
	dead       bool // no longer in the tree
	git, stead ignore.List

	kids  map[string]*node
	files []entry // sorted by name
}

// rel is a name in the node, relative to the root, with slashes.
func (n *node) rel(name string) string {
	top := n.tree.filter.root.Dir
	if n.path == top {
		return name
	}
	return strings.TrimPrefix(n.path[len(top):], "/") + "/" + name
}

func (n *node) join(name string) string { return join(n.path, name) }

// join does not clean: names come from the kernel, and are what they are.
func join(dir, name string) string {
	if strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}

func (n *node) find(name string) (int, bool) {
	return slices.BinarySearchFunc(n.files, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
}

func (n *node) put(e entry) {
	i, known := n.find(e.name)
	if known {
		n.files[i] = e
		return
	}
	n.files = slices.Insert(n.files, i, e)
}

func (n *node) remove(name string) {
	if i, known := n.find(name); known {
		n.files = slices.Delete(n.files, i, i+1)
	}
}

// walk visits the node and all below.
func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, kid := range n.kids {
		kid.walk(visit)
	}
}

// grower adds directories to trees. It is used by Set's caller for trees that
// nobody else knows yet, and by the owner.
type grower struct {
	watches *watches
	found   func(n *node, name string) // is told of files; nil: they are the baseline
	grown   []*node                    // with a watch
	said    []Warning
}

// plant makes the tree of a root.
func plant(project string, root Root, g *grower) *tree {
	repository := findRepository(root.Dir)
	t := &tree{project: project, reals: make(map[string]*node), filter: newFilter(root, repository)}
	if repository != "" {
		t.gitDir = findGitDir(repository)
	}
	if !g.root(t) {
		g.said = append(g.said, vanished(project, root.Dir))
	}
	return t
}

// root enters a tree's root, if it is there.
func (g *grower) root(t *tree) bool {
	dir := t.filter.root.Dir
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	if real == dir {
		real = dir // one string for both
	}
	t.top = &node{tree: t, path: dir, real: real, id: identify(info), exactly: len(t.filter.include) == 0}
	g.enter(t.top)
	return true
}

// enter watches a new node and what is below, in this order: what is made in a
// directory after it was read is told by events. Links come last, so that a
// directory is known by its own name if it has one in the tree.
func (g *grower) enter(n *node) {
	for _, l := range g.read(n) {
		g.enterLink(l)
	}
}

// enterLink enters a directory by a name that may be a link.
func (g *grower) enterLink(at place) {
	queue := []place{at}
	for len(queue) > 0 {
		at, queue = queue[0], queue[1:]
		queue = append(queue, g.descend(at.node, at.name)...)
	}
}

// place is a name in a node.
type place struct {
	node *node
	name string
}

// read watches and reads a node, and returns the links to directories in it and
// below.
func (g *grower) read(n *node) (links []place) {
	n.tree.reals[n.real] = n
	warning, err := g.watches.acquire(n.real, n.tree.filter.root.Poll)
	if err != nil {
		g.refuse(n, err)
		return nil
	}
	n.held = true
	g.grown = append(g.grown, n)
	if warning != nil {
		n.slow = warning.Trouble == NoEvents || warning.Trouble == Polled
		warning.Project = n.tree.project
		if warning.Trouble != Polled || n.up == nil && !n.tree.filter.root.Flat { // what is below goes without saying
			g.said = append(g.said, *warning)
		}
	}
	entries, err := os.ReadDir(n.path)
	if err != nil {
		g.refuse(n, err)
	}
	n.readIgnores(entries)
	n.files = slices.Grow(n.files, len(entries))
	for _, e := range entries {
		links = append(links, g.take(n, e)...)
	}
	n.files = slices.Clip(n.files)
	return links
}

func (g *grower) refuse(n *node, err error) {
	if !vanishes(err) {
		n.unreadable = true
		g.said = append(g.said, unreadable(n.tree.project, n.path, err))
	}
}

func (n *node) readIgnores(entries []fs.DirEntry) {
	n.git, n.stead = nil, nil
	for _, e := range entries {
		switch e.Name() {
		case gitIgnoreFile:
			n.git = readList(n.join(gitIgnoreFile))
		case steadIgnoreFile:
			n.stead = readList(n.join(steadIgnoreFile))
		}
	}
}

// take adds one thing that is in a directory.
func (g *grower) take(n *node, d fs.DirEntry) (links []place) {
	name := d.Name()
	switch {
	case d.IsDir():
		return g.descend(n, name)
	case d.Type()&fs.ModeSymlink != 0:
		if info, err := os.Stat(n.join(name)); err == nil && info.IsDir() {
			return []place{{n, name}}
		}
	case !d.Type().IsRegular():
		return nil
	}
	if !n.admitsFile(name) {
		return nil
	}
	if g.found != nil {
		g.found(n, name)
		return nil
	}
	if e, _, ok := look(n.join(name), name); ok || e.linked {
		e.name = name
		n.put(e)
	}
	return nil
}

// descend enters a directory of a node, if it counts and is not in the tree
// already.
func (g *grower) descend(n *node, name string) (links []place) {
	admission := n.admitsDir(name)
	if admission == refused || n.kids[name] != nil {
		return nil
	}
	path := n.join(name)
	info, err := os.Lstat(path)
	if err != nil {
		g.missed(n, path, err)
		return nil
	}
	kid := &node{tree: n.tree, up: n, path: path, real: join(n.real, name), all: admission == wholly, exactly: admission == exactly}
	if n.real == n.path {
		kid.real = path
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		kid.link = true
		if kid.real, err = filepath.EvalSymlinks(path); err != nil {
			return nil
		}
		if info, err = os.Stat(path); err != nil || within(n.tree.top.real, kid.real) {
			return nil // a link to a parent of the root would be everything
		}
	}
	if !info.IsDir() || n.tree.reals[kid.real] != nil {
		return nil
	}
	kid.id = identify(info)
	if n.kids == nil {
		n.kids = make(map[string]*node)
	}
	n.kids[name] = kid
	return g.read(kid)
}

// missed says so when a directory is there that cannot be reached, its path
// being too long for example.
func (g *grower) missed(n *node, path string, err error) {
	if !vanishes(err) {
		g.said = append(g.said, unreadable(n.tree.project, path, err))
	}
}

// within reports whether path is dir, or lies in it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
