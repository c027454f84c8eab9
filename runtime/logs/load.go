package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/stead-dev/stead/runtime"
)

// load learns what is on disk, once; l.mu is held. It changes nothing there
// but for retention, so that a disk that cannot be written can be read.
func (l *log) load() error {
	if l.loaded {
		return nil
	}
	if l.invalid != nil {
		return l.invalid
	}
	list, err := listSegments(l.dir)
	if err != nil {
		return err
	}
	l.segments, l.origins = list, loadOrigins(l.dir)
	if len(list) > 0 {
		if err := l.resume(); err != nil {
			return err
		}
	}
	l.loaded = true
	l.retire(l.store.options.Now())
	return nil
}

// resume goes on with the newest segment where the last process left it.
func (l *log) resume() error {
	sg := &l.segments[len(l.segments)-1]
	index, err := os.ReadFile(base(l.dir, sg.first) + indexSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read index: %w", err)
	}
	n, covered := complete(index, sg.first)
	l.end = max(sg.end, covered)
	l.head = head{flushed: n, began: sg.modified}
	if e, ok := decode(index, sg.first); ok {
		l.head.began = unixTime(e.time)
	}
	switch {
	case covered > sg.end:
		// A power cut took data that the index knows of. Offsets never go
		// back: the next segment begins after it, and readers see a gap.
		l.head.sealed = true
	case covered < sg.end:
		l.head.pending = []entry{{
			offset: covered,
			size:   sg.end - covered,
			time:   sg.modified.UnixNano(),
			stream: runtime.StreamUnknown,
		}}
	}
	return nil
}
