//go:build !unix

package state

import (
	"fmt"
	"os"
	goruntime "runtime"

	"github.com/stead-dev/stead/runtime"
)

// acquire refuses: there is no flock here, and a daemon without it could meet
// a second one.
func acquire(path string) (*os.File, error) {
	return nil, fmt.Errorf("lock %s: no daemon on %s: %w", path, goruntime.GOOS, runtime.Unsupported)
}

func release(f *os.File) { _ = f.Close() }
