//go:build !linux

package process

import "syscall"

// oomWatch has nothing to read here.
type oomWatch struct{}

func newOOMWatch() *oomWatch                          { return &oomWatch{} }
func (*oomWatch) killed(int, syscall.WaitStatus) bool { return false }
func (*oomWatch) close()                              {}
