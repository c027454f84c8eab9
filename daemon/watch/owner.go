package watch

import (
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// patrolMissing is how often a root that is not there is looked for.
	patrolMissing = 500 * time.Millisecond
	// patrolRoots is how often the others are: a parent that is renamed, and a
	// file system that is unmounted, tell nobody.
	patrolRoots = 10 * time.Second
)

// owner is the one goroutine that knows everything.
type owner struct {
	watches  *watches
	inbox    *inbox
	asks     chan func(*owner)
	out      chan<- Batch
	stirring chan<- string
	say      chan<- Warning
	stop     <-chan struct{}
	writer   func(path string) string
	helpers  sync.WaitGroup // who asks writer
	grower   *grower
	links    *links
	buffer   []byte // for reading files
	projects map[string]*project
	nodes    map[string][]*node // by canonical path
	ids      map[fileID][]*node
	early    map[string]event // of directories that a Set under way may be walking
	setting  bool
	cold     []*node // whose files have no sums yet
	coldFile int     // of the last of them
	warmAt   time.Time
	patrol   time.Time
	pending  []*Batch // one per project, for the consumer
	warnings queue
	once     map[Warning]bool // by project and trouble
}

// project is what the owner knows of one.
type project struct {
	name    string
	trees   []*tree
	settle  settle
	dirty   map[place]bool
	gone    map[string]entry // files of directories that went, by path
	rescan  bool
	stale   stat // a lock of git that was waited for in vain
	outputs outputs
}

func newOwner(w *Watcher, options Options) *owner {
	o := &owner{
		watches: w.watches, inbox: w.inbox, asks: w.asks, out: w.batches, stirring: w.stirring, say: w.warnings, stop: w.stop,
		writer:   options.Writer,
		links:    newLinks(w.watches),
		buffer:   make([]byte, 64<<10),
		projects: make(map[string]*project),
		nodes:    make(map[string][]*node),
		ids:      make(map[fileID][]*node),
		early:    make(map[string]event),
		once:     make(map[Warning]bool),
	}
	o.grower = &grower{watches: w.watches, found: func(n *node, name string) { o.mark(n, name) }}
	return o
}

// run ends with stop.
func (o *owner) run() {
	defer o.helpers.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		out, batch := o.nextBatch()
		say, warning := o.nextWarning()
		select {
		case <-o.stop:
			return
		case do := <-o.asks:
			do(o)
		case <-o.inbox.ready:
			o.receive()
		case <-timer.C:
		case out <- batch:
			o.pending = o.pending[1:]
		case say <- warning:
			o.warnings = o.warnings[1:]
		}
		timer.Reset(time.Until(o.act(time.Now())))
	}
}

// nextBatch is nil when there is none, so that its case never comes.
func (o *owner) nextBatch() (chan<- Batch, Batch) {
	if len(o.pending) == 0 {
		return nil, Batch{}
	}
	return o.out, *o.pending[0]
}

func (o *owner) nextWarning() (chan<- Warning, Warning) {
	if len(o.warnings) == 0 {
		return nil, Warning{}
	}
	return o.say, o.warnings[0]
}

// act does what is due, and returns when to be called next.
func (o *owner) act(now time.Time) (next time.Time) {
	if !now.Before(o.patrol) {
		o.patrol = now.Add(o.lookAtRoots())
	}
	next = o.patrol
	for _, p := range o.projects {
		if p.settle.active() && !now.Before(p.due()) {
			o.flush(p, now)
		}
		if p.settle.active() {
			next = earlier(next, p.due())
		}
		for _, path := range p.outputs.catchUp(now) {
			o.caughtUp(p, path, now)
		}
		if at := p.outputs.due(); !at.IsZero() { // also of what was flushed just now
			next = earlier(next, at)
		}
	}
	if len(o.cold) > 0 {
		next = earlier(next, o.warm(now))
	}
	return next
}

// project makes one that is not known yet.
func (o *owner) project(name string) *project {
	p := o.projects[name]
	if p == nil {
		p = &project{name: name, dirty: make(map[place]bool), gone: make(map[string]entry)}
		o.projects[name] = p
	}
	return p
}

// warn says so; what holds for many directories is said once per project.
func (o *owner) warn(warnings ...Warning) {
	for _, w := range warnings {
		if w.Trouble == Limited || w.Trouble == NoEvents || w.Trouble == Polled {
			key := Warning{Project: w.Project, Trouble: w.Trouble}
			if w.Trouble == Polled {
				key.Path = w.Path // a root: there are few
			}
			if o.once[key] {
				continue
			}
			o.once[key] = true
		}
		o.warnings.add(w)
	}
}

// prepare returns the roots that have no tree yet, for the caller of Set.
func (o *owner) prepare(name string, wanted []Root) (missing []Root) {
	o.setting = true
	for _, root := range wanted {
		if o.project(name).tree(root) == nil {
			missing = append(missing, root)
		}
	}
	return missing
}

func (p *project) tree(root Root) *tree {
	for _, t := range p.trees {
		if sameRoot(t.filter.root, root) {
			return t
		}
	}
	return nil
}

// install takes over the trees that Set planted, and ends those that are no
// longer wanted.
func (o *owner) install(name string, wanted []Root, planted []*tree, g *grower) {
	o.setting = false
	p := o.project(name)
	var trees, ended []*tree
	for _, t := range p.trees {
		if slices.ContainsFunc(wanted, func(r Root) bool { return sameRoot(r, t.filter.root) }) {
			trees = append(trees, t)
		} else {
			ended = append(ended, t)
		}
	}
	o.register(g.grown)
	o.warn(g.said...)
	for _, t := range planted {
		t.eachNode(o.followLinks)
		for _, old := range ended {
			o.carry(p, old, t)
		}
	}
	for _, t := range ended {
		o.fell(p, t)
	}
	p.trees = append(trees, planted...)
	if len(p.trees) == 0 {
		delete(o.projects, name)
		o.pending = slices.DeleteFunc(o.pending, func(b *Batch) bool { return b.Project == name })
		maps.DeleteFunc(o.once, func(w Warning, _ bool) bool { return w.Project == name })
	}
	o.patrol = time.Time{}
	early := o.early
	o.early = make(map[string]event)
	for _, e := range early {
		o.heed(e)
	}
}

func (t *tree) eachNode(visit func(*node)) {
	if t.top != nil {
		t.top.walk(visit)
	}
}

// register has events reach new nodes.
func (o *owner) register(nodes []*node) {
	for _, n := range nodes {
		o.nodes[n.real] = append(o.nodes[n.real], n)
		o.ids[n.id] = append(o.ids[n.id], n)
	}
	o.cold = append(o.cold, nodes...)
}

// followLinks learns where the links of a new node lead.
func (o *owner) followLinks(n *node) {
	for _, e := range n.files {
		if !e.linked {
			continue
		}
		o.links.set(place{n, e.name})
		if now, _, _ := look(n.join(e.name), e.name); now.stat != e.stat { // before anybody watched
			o.mark(n, e.name)
		}
	}
}

// carry compares a new tree with one that it takes the place of, so that a
// change that happened while it was planted is told.
func (o *owner) carry(p *project, old, now *tree) {
	byPath := make(map[string]*node)
	now.eachNode(func(n *node) { byPath[n.path] = n })
	old.eachNode(func(was *node) {
		n := byPath[was.path]
		if n == nil {
			return
		}
		for _, e := range was.files {
			i, known := n.find(e.name)
			if known && n.files[i].stat == e.stat {
				n.files[i] = e
			} else if known || n.admitsFile(e.name) {
				n.put(e)
				o.mark(n, e.name)
			}
		}
		for i := 0; i < len(n.files); {
			name := n.files[i].name
			if _, known := was.find(name); !known && was.admitsFile(name) { // made meanwhile
				n.remove(name)
				o.mark(n, name)
				continue
			}
			i++
		}
	})
	for at := range p.dirty { // events that wait are the new tree's as well
		if n := byPath[at.node.path]; n != nil && at.node.tree == old && n.admitsFile(at.name) {
			if i, known := at.node.find(at.name); known {
				n.put(at.node.files[i])
			} else {
				n.remove(at.name)
			}
			o.mark(n, at.name)
		}
	}
}

// fell ends a tree without telling of its files.
func (o *owner) fell(p *project, t *tree) {
	if t.top != nil {
		t.top.walk(func(n *node) { o.let(n, false) })
		t.top = nil
	}
}

// let releases what a node holds.
func (o *owner) let(n *node, gone bool) {
	n.dead = true
	if n.held {
		n.held = false
		o.watches.release(n.real, gone)
	}
	same := func(other *node) bool { return other == n }
	if o.nodes[n.real] = slices.DeleteFunc(o.nodes[n.real], same); len(o.nodes[n.real]) == 0 {
		delete(o.nodes, n.real)
	}
	if o.ids[n.id] = slices.DeleteFunc(o.ids[n.id], same); len(o.ids[n.id]) == 0 {
		delete(o.ids, n.id)
	}
	if n.tree.reals[n.real] == n {
		delete(n.tree.reals, n.real)
	}
	for _, e := range n.files {
		if e.linked {
			o.links.forget(place{n, e.name})
		}
	}
}

// receive takes what is in the inbox.
func (o *owner) receive() {
	events, lost := o.inbox.take()
	for _, e := range events {
		if o.setting && len(o.early) < maxInbox {
			if old, ok := o.early[e.path]; ok {
				e.op |= old.op
			}
			o.early[e.path] = e
		}
		o.heed(e)
	}
	if lost {
		o.rescan()
	}
}

// heed looks at what an event is about, for everybody who watches it.
func (o *owner) heed(e event) {
	if e.op == fsnotify.Chmod {
		o.allowed(e.path)
		return
	}
	dir, name := filepath.Split(e.path)
	if dir != "/" {
		dir = dir[:len(dir)-1]
	}
	for _, n := range slices.Clone(o.nodes[dir]) {
		o.note(n, name)
	}
	for at := range maps.Clone(o.links.at[e.path]) {
		o.mark(at.node, at.name)
	}
	if e.op.Has(fsnotify.Remove) || e.op.Has(fsnotify.Rename) {
		for _, n := range slices.Clone(o.nodes[e.path]) {
			if n.up == nil {
				o.lookAtRoot(n.tree)
			}
		}
	}
}
