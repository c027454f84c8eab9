package logs

import (
	"fmt"
	"slices"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// view is the log at one instant, for a reader at some offset.
type view struct {
	version uint64  // rises with every change that a reader can see
	first   int64   // offset of the oldest byte there is
	end     int64   // offset of the next byte to come
	segment segment // the one that the reader's offset is in, or else the next
	found   bool    // there is such a segment
	newest  bool    // it is still written to:
	flushed int     //   so many of its entries are in the index,
	pending []entry //   and these come after them
}

// view returns the log for a reader at offset at, who is done with the
// segments that begin at done or before.
func (l *log) view(at, done int64) (view, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return view{}, fmt.Errorf("the logs are closed: %w", runtime.Unavailable)
	}
	if err := l.load(); err != nil {
		return view{}, err
	}
	v := view{version: l.version, first: l.end, end: l.end}
	if len(l.segments) > 0 {
		v.first = l.segments[0].first
	}
	i := slices.IndexFunc(l.segments, func(sg segment) bool { return sg.end >= at && sg.first > done })
	if i < 0 {
		return v, nil
	}
	v.segment, v.found = l.segments[i], true
	if i == len(l.segments)-1 && !l.head.sealed {
		v.newest = true
		v.flushed = l.head.flushed
		v.pending = slices.Clone(l.head.pending)
	}
	return v, nil
}

// list returns all segments.
func (l *log) list() []segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.segments)
}

// changed returns a channel that is closed as soon as the log is not as it
// was in v any more.
func (l *log) changed(v view) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wake == nil {
		l.wake = make(chan struct{})
	}
	wake := l.wake
	if l.version != v.version {
		close(l.wake)
		l.wake = nil
	}
	return wake
}

// vanished takes note that the segment which begins at first has no file,
// though it should: somebody deleted it by hand.
func (l *log) vanished(first int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.segments, func(sg segment) bool { return sg.first == first })
	if i < 0 {
		return // retention did it
	}
	if i == len(l.segments)-1 {
		l.closeFiles()
		l.head = head{sealed: true}
	}
	l.segments = slices.Delete(l.segments, i, i+1)
}

// instance returns whose output e is; zero when that is not known.
func (l *log) instance(e entry) runtime.InstanceID {
	if e.generation == 0 && e.origin == 0 {
		return runtime.InstanceID{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return runtime.InstanceID{
		ID: runtime.ID{
			Environment: l.name.environment,
			Project:     l.name.project,
			Service:     l.origins.service(e.origin, l.name.service),
			Number:      e.generation,
		},
		Replica: e.replica,
		Attempt: e.attempt,
	}
}

func unixTime(ns int64) time.Time { return time.Unix(0, ns) }
