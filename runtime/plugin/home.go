package plugin

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// homeWatch tells when a directory is not there any more. A directory that was
// removed and made anew is another one: whoever made it expects a fresh start.
type homeWatch struct {
	every time.Duration
	paths []string
	infos []os.FileInfo
}

func watchHomes(o ServeOptions) (*homeWatch, error) {
	w := &homeWatch{every: o.HomeEvery}
	if w.every <= 0 {
		w.every = 5 * time.Second // a stat costs microseconds; a test's leftovers should be gone soon
	}
	for _, path := range []string{o.Dir, o.Home} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("watch home: %w", err)
		}
		w.paths, w.infos = append(w.paths, path), append(w.infos, info)
	}
	return w, nil
}

// vanished returns the first directory that is gone, or "". An error other
// than that it does not exist (a network file system that hangs, a permission)
// is no proof.
func (w *homeWatch) vanished() string {
	for i, path := range w.paths {
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(info, w.infos[i]) {
			return path
		}
	}
	return ""
}
