package watch

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// mark has a file looked at when it has become quiet.
func (o *owner) mark(n *node, name string) {
	p := o.projects[n.tree.project]
	if p == nil {
		return
	}
	p.dirty[place{n, name}] = true
	if !p.settle.active() {
		select {
		case o.stirring <- p.name:
		default:
		}
	}
	p.settle.note(time.Now())
}

// note looks at a name in a node: what files are is decided when it is quiet,
// but a directory is entered at once, since nobody tells of what is made in it
// before.
func (o *owner) note(n *node, name string) {
	if name == gitIgnoreFile || name == steadIgnoreFile {
		n.tree.reread = true
		o.mark(n, name)
		return
	}
	path := n.join(name)
	info, err := os.Lstat(path)
	kid := n.kids[name]
	if kid != nil && (err != nil || !o.still(kid, info)) {
		o.lose(kid)
		kid = nil
	}
	if err == nil && kid == nil && isDir(path, info) {
		o.grow(n, name, info)
	}
	if n.admitsFile(name) {
		o.mark(n, name)
	}
}

func isDir(path string, info fs.FileInfo) bool {
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Stat(path)
		return err == nil && target.IsDir()
	}
	return info.IsDir()
}

// still reports whether a node's path leads to the directory that it did.
func (o *owner) still(n *node, info fs.FileInfo) bool {
	if info.Mode()&fs.ModeSymlink == 0 {
		return !n.link && identify(info) == n.id
	}
	real, err := filepath.EvalSymlinks(n.path)
	return err == nil && n.link && real == n.real
}

// grow enters a new directory. If it is a known one that was renamed, the old
// path is let go first: a watch follows the inode, and would report its events
// under the old path.
func (o *owner) grow(n *node, name string, info fs.FileInfo) {
	if n.admitsDir(name) == refused {
		return
	}
	for _, other := range append([]*node(nil), o.ids[identify(info)]...) {
		if now, err := os.Stat(other.path); err != nil || identify(now) != other.id {
			if other.up == nil {
				o.lookAtRoot(other.tree)
			} else {
				o.lose(other)
			}
		}
	}
	o.growing(func(g *grower) {
		g.enterLink(place{n, name})
	})
}

// growing registers what was grown.
func (o *owner) growing(do func(*grower)) {
	g := o.grower
	do(g)
	o.register(g.grown)
	o.warn(g.said...)
	g.grown, g.said = nil, nil
}

// lose lets go of a directory that is no longer there. Its files are looked at
// when it is quiet: they may be back by then.
func (o *owner) lose(n *node) {
	p := o.projects[n.tree.project]
	n.walk(func(n *node) {
		for _, e := range n.files {
			p.gone[n.join(e.name)] = e
		}
		o.let(n, true)
	})
	if n.up != nil && n.up.kids[filepath.Base(n.path)] == n {
		delete(n.up.kids, filepath.Base(n.path))
	}
	p.settle.note(time.Now())
}

// allowed enters a directory that could not be read until now.
func (o *owner) allowed(path string) {
	for _, n := range append([]*node(nil), o.nodes[path]...) {
		if !n.unreadable || n.up == nil {
			continue
		}
		if info, err := os.Lstat(n.path); err == nil {
			o.lose(n)
			o.grow(n.up, filepath.Base(n.path), info)
		}
	}
}

// lookAtRoots returns when to look again.
func (o *owner) lookAtRoots() time.Duration {
	again := patrolRoots
	for _, p := range o.projects {
		for _, t := range p.trees {
			o.lookAtRoot(t)
			if t.top == nil {
				again = patrolMissing
			}
		}
	}
	return again
}

// lookAtRoot finds that a root is gone, is back, or is another directory.
func (o *owner) lookAtRoot(t *tree) {
	dir := t.filter.root.Dir
	if t.top != nil {
		info, err := os.Stat(dir)
		if err == nil && identify(info) == t.top.id {
			return
		}
		o.lose(t.top)
		t.top = nil
		if !o.rooted(t) {
			o.patrol = time.Time{}
			o.warn(vanished(t.project, dir))
		}
		return
	}
	if o.rooted(t) {
		o.warn(returned(t.project, dir))
	}
}

// rooted enters a root if it is there.
func (o *owner) rooted(t *tree) (ok bool) {
	if info, err := os.Stat(t.filter.root.Dir); err != nil || !info.IsDir() {
		return false
	}
	repository := findRepository(t.filter.root.Dir)
	t.filter = newFilter(t.filter.root, repository)
	t.gitDir = ""
	if repository != "" {
		t.gitDir = findGitDir(repository)
	}
	o.growing(func(g *grower) { ok = g.root(t) })
	return ok
}

// rescan looks at everything: events were lost.
func (o *owner) rescan() {
	for _, p := range o.projects {
		p.rescan = true
		for _, t := range p.trees {
			o.lookAtRoot(t)
			if t.top != nil {
				o.sweep(t.top)
			}
		}
	}
}

// sweep notes every name of a node and below that is not what it was.
func (o *owner) sweep(n *node) {
	entries, err := os.ReadDir(n.path)
	if err != nil && vanishes(err) {
		return // its parent has seen that it is gone
	}
	seen := make(map[string]bool, len(entries))
	for _, d := range entries {
		name := d.Name()
		seen[name] = true
		i, known := n.find(name)
		if known {
			if e, _, ok := look(n.join(name), name); ok && e.stat == n.files[i].stat {
				continue
			}
		}
		o.note(n, name)
	}
	for _, e := range n.files {
		if !seen[e.name] {
			o.note(n, e.name)
		}
	}
	kids := make(map[string]*node, len(n.kids))
	for name, kid := range n.kids {
		kids[name] = kid
	}
	for name, kid := range kids {
		if !seen[name] {
			o.note(n, name)
		} else if n.kids[name] == kid {
			o.sweep(kid)
		}
	}
}
