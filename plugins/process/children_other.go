//go:build !linux

package process

import (
	"errors"
	"syscall"
)

// Without a subreaper, orphans go to launchd and are never seen again. What
// is left of a tree is found by its process group alone: a child that starts
// a session of its own outlives its service here.

func adoptOrphans() error { return errors.New("this platform has no subreaper") }

func closeOnExec(uint) {}

// reapNext reaps one child that has ended, 0 for none, and calls before. There
// is no portable way to look before reaping; pids are given out in a circle,
// so that of a child just reaped is not in use again yet.
func reapNext(before func(pid int)) (int, syscall.WaitStatus) {
	var status syscall.WaitStatus
	for {
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return 0, 0
		}
		before(pid)
		return pid, status
	}
}

func offspring() ([]int, error) { return nil, nil }

func sessionOf(int) int { return 0 }

func environmentOf(int, string) string { return "" }

// marker has nothing to mark processes with here; it only numbers trees.
type marker struct{}

func newMarker(string) marker           { return marker{} }
func (marker) mark(count uint64) uint64 { return count }
func (marker) set(uint64)               {}
func (marker) read(int) uint64          { return 0 }
