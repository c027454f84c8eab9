package main

import (
	"fmt"
	"path/filepath"
	"syscall"
	"time"
)

// peerCrashes are enough of a peer: each takes it a second or more.
const peerCrashes = 20

// crasher is a peer whose service is killed.
type crasher struct {
	*kept
	told *announcements
	took sample
	down bool // it does not come back any more
}

// newCrashers starts the peers that are there, as they come but for being told
// to restart what dies.
func newCrashers(o options) ([]*crasher, error) {
	var told []*announcements
	var failed error
	peers, err := startKeepers(o, func(i int) string {
		a, err := listen()
		if err != nil {
			failed = err
			return "false"
		}
		told = append(told, a)
		return fmt.Sprintf("env PORT=%d %s -listen -notify %s", firstPort+2+i, filepath.Join(o.bin, "service"), a.path)
	})
	if failed != nil {
		err = failed
	}
	var all []*crasher
	for i, p := range peers {
		all = append(all, &crasher{kept: p, told: told[i]})
	}
	for _, c := range all {
		if err == nil {
			err = c.told.wait(1, time.Minute)
		}
	}
	return all, err
}

func (c *crasher) end() {
	c.kept.end()
	c.told.close()
}

// crash kills the service, and waits for its successor.
func (c *crasher) crash() {
	if c.down || len(c.took) == peerCrashes {
		return
	}
	pid := c.pid()
	began := time.Now()
	if pid > 0 { // kill(0) would be this very group
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if c.told.wait(1, answerLimit) != nil {
		c.down = true
		return
	}
	c.took = append(c.took, time.Since(began))
}
