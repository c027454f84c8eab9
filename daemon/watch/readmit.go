package watch

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

// readmit applies changed ignore files to a tree. That a file counts from now
// on, or no longer does, is no change of it. One that is new is: by the rules
// until now, what is not in the baseline is either new or refused, so the
// refused ones are noted before the new rules are read, and only they are taken
// silently.
func (o *owner) readmit(t *tree) {
	var nodes []*node
	t.top.walk(func(n *node) { nodes = append(nodes, n) })
	refused := make(map[*node][]fs.DirEntry)
	for _, n := range nodes {
		refused[n] = o.notRefused(n)
	}
	for _, n := range nodes {
		n.git, n.stead = readList(n.join(gitIgnoreFile)), readList(n.join(steadIgnoreFile))
	}
	g := &grower{watches: o.watches}
	for _, n := range nodes {
		if !n.dead {
			o.readmitNode(n, refused[n], g)
		}
	}
	o.register(g.grown)
	o.warn(g.said...)
	for _, n := range g.grown {
		o.followLinks(n)
	}
}

// notRefused notes what is new in a node, and returns what does not count.
func (o *owner) notRefused(n *node) (others []fs.DirEntry) {
	entries, _ := os.ReadDir(n.path) // what cannot be read was said when it was entered
	for _, d := range entries {
		name := d.Name()
		if _, known := n.find(name); known || n.kids[name] != nil {
			continue
		}
		if n.counts(d) {
			o.note(n, name)
		} else {
			others = append(others, d)
		}
	}
	return others
}

// counts is by the rules alone, whatever a link leads to.
func (n *node) counts(d fs.DirEntry) bool {
	switch {
	case d.Name() == gitIgnoreFile || d.Name() == steadIgnoreFile:
		return false
	case d.IsDir():
		return n.admitsDir(d.Name()) != refused
	case d.Type()&fs.ModeSymlink != 0:
		return n.admitsFile(d.Name()) || n.admitsDir(d.Name()) != refused
	}
	return d.Type().IsRegular() && n.admitsFile(d.Name())
}

func (o *owner) readmitNode(n *node, refusedBefore []fs.DirEntry, g *grower) {
	for name, kid := range maps.Clone(n.kids) {
		a := n.admitsDir(name)
		if kid.dead || a != refused && kid.all == (a == wholly) && kid.exactly == (a == exactly) {
			continue
		}
		kid.walk(func(n *node) { o.let(n, false) })
		delete(n.kids, name)
		g.enterLink(place{n, name})
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
	for _, d := range refusedBefore {
		for _, l := range g.take(n, d) {
			g.enterLink(l)
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
