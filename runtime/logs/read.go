package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// Read calls fn with the blocks that q selects, in the order written. Without
// q.Follow it returns nil after what was there when it was called. With it,
// it goes on with what is written, also by a service that has not written
// yet, until ctx ends, and returns ctx's error. It returns fn's error as it is.
//
// Blocks that were lost are told by Gap: with the next block, or in a block
// without Data when none comes at once. A q.Offset below the oldest byte there
// is gives a Gap too, but for 0, which is everything there is. q.Last counts
// line ends of the selected bytes as they lie in the log; a last line without
// an end counts. With q.Match a line that is cut off by a Gap, by the next
// attempt or, without q.Follow, by the end of the log, is searched as it is.
//
// A service that had no Writer and has no files is NotFound, unless followed.
// A query that can never work is Invalid; a Store that was closed Unavailable.
func (s *Store) Read(ctx context.Context, q runtime.LogQuery, fn func(runtime.LogBlock) error) error {
	n := name{q.Environment, q.Project, q.Service}
	err := n.check()
	if err == nil && (q.Offset < 0 || q.Last < 0) {
		err = fmt.Errorf("negative offset or number of lines: %w", runtime.Invalid)
	}
	if err != nil {
		return fmt.Errorf("read logs: %w", err)
	}
	l := s.acquireReader(n)
	defer s.releaseReader(l)
	if !q.Follow && !s.known(l) {
		return fmt.Errorf("read logs of %s: %w", n, runtime.NotFound)
	}
	r := reader{log: l, query: q, fn: fn}
	if q.Match != "" {
		r.match, err = newMatching(q.Match, &r)
	}
	if err == nil {
		err = r.start(ctx)
	}
	if err != nil {
		return fmt.Errorf("read logs of %s: %w", n, err)
	}
	defer r.cursor.close()
	return r.run(ctx)
}

// quietAfter a follower closes the files of a log that says nothing.
const quietAfter = time.Second

// reader is one call of Read.
type reader struct {
	log    *log
	query  runtime.LogQuery
	fn     func(runtime.LogBlock) error
	cursor *cursor
	limit  int64     // end of the log when Read was called
	gap    int64     // bytes that were lost before the next block
	match  *matching // nil: everything matches
}

// start finds where to begin.
func (r *reader) start(ctx context.Context) error {
	v, err := r.log.view(0, -1)
	if err != nil {
		return err
	}
	r.limit = v.end
	from := r.query.Offset
	if from == 0 {
		from = v.first
	}
	if r.query.Last > 0 {
		last := r.lastLines
		if r.match != nil {
			last = r.lastMatches
		}
		if from, err = last(ctx, from); err != nil {
			return err
		}
	}
	r.cursor = newCursor(r.log, from)
	return nil
}

func (r *reader) run(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := r.log.view(r.cursor.pos, r.cursor.done)
		if err != nil {
			return fmt.Errorf("read logs of %s: %w", r.log.name, err)
		}
		if err := r.skip(v); err != nil {
			return err
		}
		if v.found {
			list, err := r.cursor.batch(v)
			if err == errVanished {
				continue
			}
			if err != nil {
				return fmt.Errorf("read logs of %s: %w", r.log.name, err)
			}
			if err := r.deliver(ctx, list); err != nil {
				return err
			}
			if (len(list) > 0 || !v.newest) && !r.complete() {
				continue
			}
		}
		if !r.query.Follow && r.match != nil {
			return r.match.end()
		}
		if err := r.tellGap(); err != nil {
			return err
		}
		if !r.query.Follow {
			return nil
		}
		if err := r.await(ctx, v); err != nil {
			return err
		}
	}
}

// complete reports whether everything was read that Read promised.
func (r *reader) complete() bool { return !r.query.Follow && r.cursor.pos > r.limit }

// skip moves over what is not there any more.
func (r *reader) skip(v view) error {
	next := v.end
	if v.found {
		next = v.segment.first
	}
	if next <= r.cursor.pos || r.cursor.pos >= v.end {
		return nil
	}
	if r.query.Follow || r.cursor.pos < r.limit {
		if r.match != nil {
			if err := r.match.finish(); err != nil {
				return err
			}
		}
		r.gap += next - r.cursor.pos
	}
	r.cursor.pos = next
	return nil
}

// await returns when there may be more than in v. What is held open meanwhile
// is given back soon, so that quiet logs cost nothing, and removed ones no
// room; at once, each line of a busy log would open its files again.
func (r *reader) await(ctx context.Context, v view) error {
	changed, quiet := r.log.changed(v), time.NewTimer(quietAfter)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
			return nil
		case <-quiet.C:
			r.cursor.close()
		}
	}
}

// tellGap reports a loss that no block follows.
func (r *reader) tellGap() error {
	if r.gap == 0 {
		return nil
	}
	now := r.log.store.options.Now().UnixNano()
	return r.emit(entry{offset: r.cursor.pos, time: now, stream: runtime.StreamRuntime}, nil)
}

func (r *reader) deliver(ctx context.Context, list []entry) error {
	for _, e := range list {
		if !r.query.Follow {
			e.size = min(e.end(), r.limit) - e.offset
		}
		if e.size < 0 || !selects(r.query, e) {
			continue
		}
		if r.match != nil {
			if err := r.match.entry(e, list[len(list)-1].end()); err != nil {
				return err
			}
			continue
		}
		r.gap += e.gap
		if err := r.blocks(ctx, e); err != nil {
			return err
		}
	}
	if r.match != nil {
		return r.match.flush()
	}
	return nil
}

// selects reports whether q wants e, its offset aside.
func selects(q runtime.LogQuery, e entry) bool {
	t := unixTime(e.time)
	return (q.Generation == 0 || q.Generation == e.generation) &&
		(q.Stream == runtime.StreamUnknown || q.Stream == e.stream) &&
		(q.Since.IsZero() || !t.Before(q.Since)) &&
		(q.Until.IsZero() || t.Before(q.Until))
}

// blocks hands out the bytes of e, in pieces that end at a line end if they
// can.
func (r *reader) blocks(ctx context.Context, e entry) error {
	if e.size == 0 {
		return r.tellGap()
	}
	buffer := blocks.Get().(*block)
	defer blocks.Put(buffer)
	for e.size > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.cursor.data.ReadAt(buffer[:min(maxBlock, e.size)], e.offset-r.cursor.first)
		if err != nil && err != io.EOF {
			return fmt.Errorf("read logs of %s: %w", r.log.name, err)
		}
		if n == 0 { // somebody made the file shorter
			r.gap += e.size
			return nil
		}
		if int64(n) < e.size {
			if i := bytes.LastIndexByte(buffer[:n], '\n'); i >= 0 {
				n = i + 1
			}
		}
		if err := r.emit(e, buffer[:n]); err != nil {
			return err
		}
		e.offset += int64(n)
		e.size -= int64(n)
	}
	return nil
}

func (r *reader) emit(e entry, data []byte) error {
	b := runtime.LogBlock{
		Service:  r.log.name.service,
		Instance: r.log.instance(e),
		Stream:   e.stream,
		Time:     unixTime(e.time),
		Offset:   e.offset,
		Data:     data,
		Gap:      r.gap,
	}
	r.gap = 0
	return r.fn(b)
}
