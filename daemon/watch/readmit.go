package watch

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

// readmit applies changed ignore files to a tree. That a file counts from now
// on, or no longer does, is no change of it.
func (o *owner) readmit(t *tree, p *project) {
	t.top.walk(func(n *node) {
		n.git, n.stead = readList(n.join(gitIgnoreFile)), readList(n.join(steadIgnoreFile))
	})
	g := &grower{watches: o.watches}
	o.readmitNode(t.top, p, g)
	o.register(g.grown)
	o.warn(g.said...)
	for _, n := range g.grown {
		o.followLinks(n)
	}
}

func (o *owner) readmitNode(n *node, p *project, g *grower) {
	for name, kid := range maps.Clone(n.kids) {
		a := n.admitsDir(name)
		if a == refused || kid.all != (a == wholly) || kid.exactly != (a == exactly) {
			kid.walk(func(n *node) { o.let(n, false) })
			delete(n.kids, name)
		}
	}
	n.files = slices.DeleteFunc(n.files, func(e entry) bool {
		if n.admitsFile(e.name) {
			return false
		}
		if e.linked {
			o.links.forget(place{n, e.name})
		}
		return true
	})
	before := maps.Clone(n.kids)
	entries, _ := os.ReadDir(n.path) // what cannot be read was said when it was entered
	for _, d := range entries {
		if d.IsDir() || d.Type()&fs.ModeSymlink != 0 {
			for _, l := range g.take(n, d) {
				g.enterLink(l)
			}
		} else if _, known := n.find(d.Name()); !known && !p.dirty[place{n, d.Name()}] {
			g.take(n, d)
		}
	}
	for name, kid := range before {
		if n.kids[name] == kid {
			o.readmitNode(kid, p, g)
		}
	}
}

// How files are hashed that had no event yet: some milliseconds at a time, one
// part in twenty of a core, and no large ones.
const (
	warmFor   = 2 * time.Millisecond
	warmShare = 20
	warmLimit = 1 << 20
)

// warm hashes some files, so that their first touch is known to be nothing. It
// returns when to be called next.
func (o *owner) warm(now time.Time) time.Time {
	if now.Before(o.warmAt) {
		return o.warmAt
	}
	began := time.Now()
	for len(o.cold) > 0 && time.Since(began) < warmFor {
		n := o.cold[len(o.cold)-1]
		if n.dead || n.slow || o.coldFile >= len(n.files) {
			o.cold, o.coldFile = o.cold[:len(o.cold)-1], 0
			continue
		}
		e := &n.files[o.coldFile]
		o.coldFile++
		if e.summed || e.stat.size > warmLimit {
			continue
		}
		// When the file is no longer what the baseline says, an event is on its way.
		if sum, read, ok := digest(n.join(e.name), warmLimit, o.buffer); ok && read == e.stat {
			e.sum, e.summed = sum, true
		}
	}
	o.warmAt = time.Now().Add(warmShare * time.Since(began))
	return o.warmAt
}
