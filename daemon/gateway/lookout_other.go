//go:build !linux

package gateway

import "errors"

// lookout exists on Linux alone: elsewhere each door has a goroutine.
type lookout struct{}

func newLookout() (*lookout, error) { return nil, errors.ErrUnsupported }

func (*lookout) add(*door) bool  { return false }
func (*lookout) arm(*door)       {}
func (*lookout) remove(*door)    {}
func (*lookout) run(func(*door)) {}
func (*lookout) close()          {}
