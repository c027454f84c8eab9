package watch

import (
	"os"
	"slices"
	"strings"
	"time"
)

func (p *project) due() time.Time { return p.settle.due(len(p.dirty) + len(p.gone)) }

// flush tells what changed, unless it should wait.
func (o *owner) flush(p *project, now time.Time) {
	lock, busy := p.gitBusy()
	if p.settle.hold(now, busy && lock != p.stale, p.vanishing, p.unfinished) {
		return
	}
	if busy {
		p.stale = lock // waited for long enough
	}
	for _, t := range p.trees {
		if t.reread && t.top != nil {
			t.reread = false
			o.readmit(t)
		}
	}
	var changes []Change
	for at := range p.dirty {
		if kind, changed := o.examine(p, at); changed {
			changes = append(changes, Change{at.node.join(at.name), kind})
			changes = append(changes, o.otherNames(p, at)...)
		}
	}
	for path, e := range p.gone {
		if e.present() {
			changes = append(changes, Change{path, Removed})
		}
	}
	first, last := p.settle.first, p.settle.last
	p.settle = settle{told: now}
	clear(p.dirty)
	clear(p.gone)
	o.judge(p, compact(changes), first, last, now)
	p.rescan = false
}

func (p *project) gitBusy() (lock stat, busy bool) {
	for _, t := range p.trees {
		if lock, busy = gitLock(t.gitDir); busy {
			return lock, busy
		}
	}
	return stat{}, false
}

// vanishing reports that a file is gone or empty which was not: it may be on
// its way (back).
func (p *project) vanishing() bool {
	if len(p.gone) > 0 {
		return true
	}
	for at := range p.dirty {
		i, known := at.node.find(at.name)
		known = known && at.node.files[i].present()
		if at.node.dead || !known && !at.node.admitsFile(at.name) {
			continue
		}
		e, _, ok := look(at.node.join(at.name), at.name)
		if !ok && known || ok && e.stat.size == 0 && (!known || at.node.files[i].stat.size > 0) {
			return true
		}
	}
	return false
}

// unfinished reports that one of a few files is open for writing: what is there
// is not what it is to be.
func (p *project) unfinished() bool {
	if len(p.dirty) > manyPaths {
		return false // they wait for longer anyway
	}
	for at := range p.dirty {
		path := at.node.join(at.name)
		if _, _, ok := look(path, at.name); ok && !at.node.dead && beingWritten(path) {
			return true
		}
	}
	return false
}

// examine compares a file with its baseline, and makes what is there the new
// one.
func (o *owner) examine(p *project, at place) (kind Kind, changed bool) {
	n, name := at.node, at.name
	if n.dead {
		return 0, false
	}
	path := n.join(name)
	var old entry
	i, known := n.find(name)
	if known {
		old = n.files[i]
	} else if old, known = p.gone[path]; known {
		delete(p.gone, path)
	}
	if !known && !n.admitsFile(name) {
		return 0, false
	}
	now, _, ok := look(path, name)
	if now.linked {
		o.links.set(at)
	} else if old.linked {
		o.links.forget(at)
	}
	if !ok {
		n.remove(name)
		if now.linked { // leads nowhere, as yet
			n.put(entry{name: name, linked: true})
		}
		return Removed, old.present()
	}
	kind = Written
	if !old.present() {
		kind = Created
		o.sum(path, &now)
		changed = true
	} else {
		changed = o.differs(path, old, &now)
	}
	n.put(now)
	return kind, changed
}

// present is false for a link that leads nowhere.
func (e entry) present() bool { return e.stat != stat{} }

// coarse is what timestamps of file systems may be off by: an ext4 one is that
// of the last timer interrupt, FAT counts in two seconds. Until then, a write
// may leave size and mtime as they were.
const coarse = 2 * time.Second

// differs compares contents, as far as they are known, and notes the sum.
func (o *owner) differs(path string, old entry, now *entry) bool {
	same := old.stat == now.stat
	if same && old.summed && time.Since(time.Unix(0, now.stat.mtime)) > coarse {
		now.sum, now.summed = old.sum, true
		return false
	}
	o.sum(path, now)
	if now.summed && old.summed {
		return now.sum != old.sum
	}
	return !same
}

func (o *owner) sum(path string, e *entry) {
	if sum, read, ok := digest(path, hashLimit, o.buffer); ok {
		e.sum, e.summed, e.stat = sum, true, read
	}
}

// otherNames finds the hard links to a file that was written.
func (o *owner) otherNames(p *project, at place) (changes []Change) {
	i, known := at.node.find(at.name)
	if !known || !at.node.files[i].shared {
		return nil
	}
	e := at.node.files[i]
	for _, t := range p.trees {
		t.eachNode(func(n *node) {
			for j := range n.files {
				if other := &n.files[j]; other.shared && other.stat.inode == e.stat.inode && other.stat != e.stat && n.id.device == at.node.id.device {
					other.stat, other.sum, other.summed = e.stat, e.sum, e.summed
					changes = append(changes, Change{n.join(other.name), Written})
				}
			}
		})
	}
	return changes
}

// compact sorts, and keeps one change per path: roots may overlap.
func compact(changes []Change) []Change {
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(changes, func(a, b Change) bool { return a.Path == b.Path })
}

// judge keeps back what reloads themselves write.
func (o *owner) judge(p *project, changes []Change, first, last, now time.Time) {
	told := changes[:0]
	for _, c := range changes {
		j := p.outputs.judge(c.Path, first, now, p.names(c.Path))
		if j.tell {
			told = append(told, c)
		}
		if j.suspend {
			o.warn(ownOutput(p.name, c.Path, ""))
		}
		if j.resume {
			o.warn(resumed(p.name, c.Path))
		}
		if j.ask {
			o.askWho(p, c.Path)
		}
	}
	o.emit(p, told, first, last)
}

// names reports whether a root names the file itself (Root.Files).
func (p *project) names(path string) bool {
	return slices.ContainsFunc(p.trees, func(t *tree) bool {
		rel, below := strings.CutPrefix(path, strings.TrimSuffix(t.filter.root.Dir, "/")+"/")
		return below && t.filter.exact[rel]
	})
}

// askWho looks through all processes, beside the owner: no save waits for it.
// What it starts ends with the look, and run waits for it.
func (o *owner) askWho(p *project, path string) {
	o.helpers.Go(func() {
		who := o.writer(path)
		answer := func(o *owner) {
			if p.outputs.answered(path, who) {
				o.warn(ownOutput(p.name, path, who))
			}
		}
		select {
		case o.asks <- answer:
		case <-o.stop:
		}
	})
}

// caughtUp tells of a withheld path.
func (o *owner) caughtUp(p *project, path string, now time.Time) {
	kind := Written
	if _, err := os.Stat(path); err != nil {
		kind = Removed
	}
	o.emit(p, []Change{{path, kind}}, now, now)
}

// emit gives changes to the consumer, or adds them to what it has not taken.
func (o *owner) emit(p *project, changes []Change, first, last time.Time) {
	if len(changes) == 0 {
		return
	}
	i := slices.IndexFunc(o.pending, func(b *Batch) bool { return b.Project == p.name })
	if i < 0 {
		i = len(o.pending)
		o.pending = append(o.pending, &Batch{Project: p.name, First: first})
	}
	b := o.pending[i]
	b.Last = last
	b.Rescanned = b.Rescanned || p.rescan
	if b.Truncated {
		return
	}
	b.Changes = mergeChanges(b.Changes, changes)
	if len(b.Changes) > maxChanges {
		b.Changes, b.Truncated = slices.Clip(b.Changes[:maxChanges]), true
	}
	if len(b.Changes) == 0 {
		o.pending = slices.Delete(o.pending, i, i+1)
	}
}

// mergeChanges makes one sorted list of two; what was made and removed again
// is nothing.
func mergeChanges(before, now []Change) []Change {
	merged := make([]Change, 0, len(before)+len(now))
	for len(before) > 0 && len(now) > 0 {
		switch c := strings.Compare(before[0].Path, now[0].Path); {
		case c < 0:
			merged, before = append(merged, before[0]), before[1:]
		case c > 0:
			merged, now = append(merged, now[0]), now[1:]
		default:
			if kind, remains := then(before[0].Kind, now[0].Kind); remains {
				merged = append(merged, Change{now[0].Path, kind})
			}
			before, now = before[1:], now[1:]
		}
	}
	return append(append(merged, before...), now...)
}

// then is what two changes of a path are together.
func then(a, b Kind) (Kind, bool) {
	switch {
	case a == Created && b == Removed:
		return 0, false
	case a == Created:
		return Created, true
	case a == Removed && b == Created:
		return Written, true
	}
	return b, true
}
