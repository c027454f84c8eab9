package process

import (
	"errors"
	"log/slog"
	"sync"
	"syscall"
	"time"
)

// sweeper ends what is left of trees whose leader has gone, and says when
// nothing is. Every process of a tree descends from its leader; when a
// process dies its children become ours (PR_SET_CHILD_SUBREAPER). So what is
// left of a tree is among our own children, or below one that is: kill those,
// reap them, look again, until a look finds none.
//
// One pass serves every tree that waits: a thousand services that stop
// together share the list of our children.
type sweeper struct {
	c    *children
	log  *slog.Logger
	ask  chan *sweep
	quit chan struct{}
	work sync.WaitGroup
}

// sweep is one tree that is to be ended, or with tree nil every child that
// was not started here.
type sweep struct {
	tree  *tree
	seen  bool // by the pass under way
	since time.Time
	slow  bool          // it has been said
	done  chan struct{} // closed when nothing is left
}

const (
	sweepFirst = time.Millisecond // between two passes when no exit says more
	sweepMost  = 250 * time.Millisecond
	sweepSlow  = 10 * time.Second // then it is worth a warning: a process in state D, most likely
)

func newSweeper(c *children, log *slog.Logger) *sweeper {
	s := &sweeper{c: c, log: log, ask: make(chan *sweep), quit: make(chan struct{})}
	s.work.Add(1)
	go s.run()
	return s
}

// end returns when nothing is left of t.
func (s *sweeper) end(t *tree) { <-s.begin(t) }

// endAll returns a channel that is closed when no adopted child is left,
// whoever's it was.
func (s *sweeper) endAll() <-chan struct{} { return s.begin(nil) }

func (s *sweeper) begin(t *tree) <-chan struct{} {
	one := &sweep{tree: t, since: time.Now(), done: make(chan struct{})}
	select {
	case s.ask <- one:
	case <-s.quit: // nothing runs any more
		close(one.done)
	}
	return one.done
}

// run ends with close.
func (s *sweeper) run() {
	defer s.work.Done()
	var waiting []*sweep
	timer := time.NewTimer(0)
	defer timer.Stop()
	delay := sweepFirst
	for {
		select {
		case one := <-s.ask:
			waiting, delay = append(waiting, one), sweepFirst
		case <-s.c.orphans:
			if len(waiting) == 0 {
				continue
			}
		case <-timer.C:
			delay = min(2*delay, sweepMost)
		case <-s.quit:
			for _, one := range waiting {
				close(one.done)
			}
			return
		}
		waiting = s.pass(s.gather(waiting))
		if len(waiting) > 0 {
			timer.Reset(delay)
		} else {
			timer.Stop()
		}
	}
}

// gather takes along everybody who is asking at this moment.
func (s *sweeper) gather(waiting []*sweep) []*sweep {
	for {
		select {
		case one := <-s.ask:
			waiting = append(waiting, one)
		default:
			return waiting
		}
	}
}

// pass kills what is left, and returns the sweeps that are not done.
func (s *sweeper) pass(waiting []*sweep) []*sweep {
	if len(waiting) == 0 {
		return nil
	}
	wanted := make(map[*tree]*sweep, len(waiting))
	for _, one := range waiting {
		one.seen = false
		wanted[one.tree] = one
		if one.tree != nil && !one.tree.cgroup.empty() {
			one.tree.cgroup.kill()
			one.seen = true
		}
	}
	if err := s.c.cull(wanted); err != nil {
		s.log.Error("look for processes that services left", "err", err)
	}
	var left []*sweep
	for _, one := range waiting {
		switch {
		case !one.seen:
			close(one.done)
			continue
		case !one.slow && time.Since(one.since) > sweepSlow:
			one.slow = true
			id := "any"
			if one.tree != nil {
				id = one.tree.id
			}
			s.log.Warn("processes do not end although they were killed", "service", id)
		}
		left = append(left, one)
	}
	return left
}

// cull kills every adopted child of the wanted trees and marks their sweeps
// as seen. A process that may not be killed, since it changed its user, is
// left alone: waiting for it would be for ever.
func (c *children) cull(wanted map[*tree]*sweep) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	pids, err := offspring()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if c.live[pid] != nil {
			continue
		}
		owner := c.owner(pid)
		one := wanted[owner]
		if one == nil {
			one = wanted[nil]
		}
		if one == nil {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); errors.Is(err, syscall.EPERM) {
			c.log.Warn("a process of a service may not be ended", "pid", pid, "err", err)
			continue
		}
		if owner != nil {
			c.condemned[pid] = owner
		}
		one.seen = true
	}
	return nil
}

// close ends the sweeper, after the last tree.
func (s *sweeper) close() {
	close(s.quit)
	s.work.Wait()
}
