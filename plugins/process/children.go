package process

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// children is every process below this one: those it started, and on Linux
// the orphans that it adopted. Whoever forks, reaps or signals holds mu, so
//   - the reaper cannot meet a child that is not registered yet, and
//   - a pid in hand is that of a process not reaped yet: it cannot have been
//     given to a stranger.
//
// A fork takes about a millisecond, and ForkExec is serial anyway.
type children struct {
	log      *slog.Logger
	marker   marker         // how trees are told apart
	launcher *launcher      // what forks
	signals  chan os.Signal // SIGCHLD
	quit     chan struct{}  // ends the reaper
	reaper   sync.WaitGroup
	orphans  chan struct{} // holds one: an orphan was reaped

	mu    sync.Mutex
	live  map[int]*child   // started here, not reaped
	trees map[uint64]*tree // by mark, from before the fork to the verified end
	count uint64           // trees so far

	// condemned are adopted processes that were killed and not reaped yet: a
	// dying one has no environment any more to tell its tree by.
	condemned map[int]*tree
}

// child is a process that was started here.
type child struct {
	pid    int
	tree   *tree
	exited chan struct{}      // closed when it has been reaped
	status syscall.WaitStatus // valid then
	then   func()             // to be done then; nil: nothing. Guarded by children.mu
}

// tree is an instance's processes: its leader and all that descend from it.
type tree struct {
	id        string // STEAD_ID
	mark      uint64
	cgroup    *cgroup // nil: none
	leader    *child  // nil until it has been started; guarded by children.mu
	gone      bool    // the leader has been reaped; guarded by children.mu
	leftovers int     // killed after the leader; guarded by children.mu
}

func newChildren(nonce string, log *slog.Logger) *children {
	c := &children{
		log: log, marker: newMarker(nonce), signals: make(chan os.Signal, 1), quit: make(chan struct{}),
		orphans: make(chan struct{}, 1), live: map[int]*child{}, trees: map[uint64]*tree{},
		condemned: map[int]*tree{}, launcher: newLauncher(log),
	}
	if err := adoptOrphans(); err != nil {
		log.Warn("orphans of services cannot be adopted: some may outlive a stop", "err", err)
	}
	signal.Notify(c.signals, syscall.SIGCHLD)
	c.reaper.Add(1)
	go c.reapAll()
	return c
}

// reapAll reaps until close.
func (c *children) reapAll() {
	defer c.reaper.Done()
	for {
		c.reap()
		select {
		case <-c.signals: // one stands for any number of exits
		case <-c.quit:
			return
		}
	}
}

func (c *children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var owner *tree
		pid, status := reapNext(func(pid int) { owner = c.farewell(pid) })
		if pid <= 0 {
			return
		}
		if ours := c.live[pid]; ours != nil {
			ours.status = status
			delete(c.live, pid)
			close(ours.exited)
			if ours.then != nil {
				go ours.then() // whoever called after waits for it
			}
			continue
		}
		delete(c.condemned, pid)
		if owner != nil && owner.gone && status.Signaled() && status.Signal() == syscall.SIGKILL {
			owner.leftovers++
		}
		select {
		case c.orphans <- struct{}{}:
		default:
		}
	}
}

// farewell does what must happen before a dead pid is reaped, and returns
// the tree it belonged to. The process group's number is the group's own as
// long as its leader is not reaped; afterwards it may mean somebody else.
func (c *children) farewell(pid int) *tree {
	ours := c.live[pid]
	if ours == nil {
		return c.owner(pid)
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	if ours.tree.leader == ours {
		ours.tree.gone = true
	}
	return ours.tree
}

// plant registers a new tree.
func (c *children) plant(id string, g *cgroup) *tree {
	c.mu.Lock()
	defer c.mu.Unlock()
	mark := c.marker.mark(c.count)
	for ; c.trees[mark] != nil || mark == c.marker.mark(0); mark = c.marker.mark(c.count) {
		c.count++
	}
	t := &tree{id: id, mark: mark, cgroup: g}
	c.trees[t.mark] = t
	return t
}

// fell forgets a tree of which nothing is left, and returns how many of its
// processes had to be killed after the leader.
func (c *children) fell(t *tree) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.trees, t.mark)
	return t.leftovers
}

// start runs a process in t; the first one is its leader.
func (c *children) start(t *tree, path string, argv []string, attr *syscall.ProcAttr) (*child, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.gone {
		return nil, fmt.Errorf("start %s: its instance has ended", path)
	}
	c.marker.set(t.mark)
	pid, err := t.cgroup.fork(c.launcher, path, argv, attr)
	if err != nil {
		return nil, err
	}
	one := &child{pid: pid, tree: t, exited: make(chan struct{})}
	if t.leader == nil {
		t.leader = one
	}
	c.live[pid] = one
	return one, nil
}

// after calls fn in a goroutine of its own when one has been reaped. It is
// called once at most for each child.
func (c *children) after(one *child, fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live[one.pid] == one {
		one.then = fn
		return
	}
	go fn() // the caller waits for it
}

// signal sends sig to the process group that one leads, unless it is gone.
func (c *children) signal(one *child, sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live[one.pid] != one {
		return
	}
	if err := syscall.Kill(-one.pid, sig); err != nil {
		c.log.Warn("signal a process group", "service", one.tree.id, "pid", one.pid, "err", err)
	}
}

// owner returns the tree that the unreaped process pid belongs to, or nil.
func (c *children) owner(pid int) *tree {
	if t := c.condemned[pid]; t != nil {
		return t
	}
	if t := c.trees[c.marker.read(pid)]; t != nil {
		return t
	}
	if id := environmentOf(pid, "STEAD_ID"); id != "" {
		for _, t := range c.trees {
			if t.id == id {
				return t
			}
		}
	}
	if leader := c.live[sessionOf(pid)]; leader != nil {
		return leader.tree
	}
	return nil
}

// close ends the reaper and the launcher. No child may be left.
func (c *children) close() {
	signal.Stop(c.signals)
	close(c.quit)
	c.reaper.Wait()
	c.launcher.close()
}
