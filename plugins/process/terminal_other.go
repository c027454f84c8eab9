//go:build !linux

package process

import "os"

// pollable leaves the master as it is: non-blocking terminals burn a core on
// macOS. A Read ends when the process group has ended.
func pollable(opened *os.File) (*os.File, error) { return opened, nil }
