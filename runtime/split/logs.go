package split

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stead-dev/stead/runtime"
)

// A service has two logs: of its builds, here, and of itself, there. They are
// read as one, in the order of their times. Its offsets are nanoseconds since
// 1970, moved on as far as is needed for no two blocks to overlap: so they only
// grow, and mean the same to the next daemon. What they stand for in either log
// is remembered for a while; else the time that they are is where to go on.

// Positions remember what offsets of joined logs stand for. Methods may be
// called concurrently.
type Positions struct {
	mu   sync.Mutex
	logs map[string]*log // by environment/project/service
}

// log is one joined log.
type log struct {
	next []position // the newest last, at most keptPositions
}

// position is an offset at which reading goes on.
type position struct {
	offset      int64
	here, there int64
}

// keptPositions is how many ends of reading are remembered of each log: one
// for each reader that follows, and some.
const keptPositions = 64

// NewPositions remembers nothing yet.
func NewPositions() *Positions { return &Positions{logs: map[string]*log{}} }

func key(q runtime.LogQuery) string {
	return runtime.ID{Environment: q.Environment, Project: q.Project, Service: q.Service}.String()
}

// keep notes where a reader was when it stopped.
func (p *Positions) keep(q runtime.LogQuery, at position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.logs[key(q)]
	if l == nil {
		l = &log{}
		p.logs[key(q)] = l
	}
	l.next = slices.DeleteFunc(l.next, func(old position) bool { return old.offset == at.offset })
	if l.next = append(l.next, at); len(l.next) > keptPositions {
		l.next = slices.Delete(l.next, 0, 1)
	}
}

// find returns what an offset stands for.
func (p *Positions) find(q runtime.LogQuery) (position, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.logs[key(q)]; l != nil {
		for _, at := range l.next {
			if at.offset == q.Offset {
				return at, true
			}
		}
	}
	return position{}, false
}

// Logs implements runtime.Runtime.
func (r *Runtime) Logs(ctx context.Context, query runtime.LogQuery, fn func(runtime.LogBlock) error) error {
	if belongsHere(query.Service) {
		return r.here.Logs(ctx, query, fn)
	}
	at := position{offset: query.Offset}
	here, there := query, query
	if query.Offset > 0 {
		known, ok := r.positions.find(query)
		at.here, at.there = known.here, known.there
		if since := time.Unix(0, query.Offset); !ok && since.After(query.Since) {
			here.Since, there.Since = since, since
		}
	}
	here.Offset, there.Offset = at.here, at.there
	j := &joined{at: at, fn: fn}
	defer func() { r.positions.keep(query, j.at) }()
	if query.Follow {
		return r.followBoth(ctx, here, there, j)
	}
	return r.readBoth(ctx, here, there, query.Last, j)
}

// joined hands blocks of both logs on, one at a time.
type joined struct {
	mu sync.Mutex
	at position
	fn func(runtime.LogBlock) error
}

func (j *joined) hand(b runtime.LogBlock, here bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	end := b.Offset + int64(len(b.Data))
	if here {
		j.at.here = end
	} else {
		j.at.there = end
	}
	b.Offset = max(j.at.offset, b.Time.UnixNano())
	if b.Time.IsZero() || len(b.Data) == 0 && b.Gap == 0 { // it says only how far a search came
		b.Offset = j.at.offset
	}
	j.at.offset = b.Offset + int64(len(b.Data))
	return j.fn(b)
}

// againAfter is how often it is looked whether a log has come to be.
const againAfter = 200 * time.Millisecond

// followBoth hands on what comes, as it comes.
func (r *Runtime) followBoth(ctx context.Context, here, there runtime.LogQuery, j *joined) error {
	following, ctx := errgroup.WithContext(ctx)
	follow := func(from runtime.Runtime, query runtime.LogQuery) {
		following.Go(func() error { // ends with ctx
			for {
				err := from.Logs(ctx, query, func(b runtime.LogBlock) error { return j.hand(b, from == r.here) })
				if err == nil {
					err = ended(nil, "of a log")
				}
				if !errors.Is(err, runtime.NotFound) || ctx.Err() != nil {
					return err
				}
				again := time.NewTimer(againAfter)
				select {
				case <-again.C:
				case <-ctx.Done():
					again.Stop()
					return ctx.Err()
				}
			}
		})
	}
	follow(r.here, here)
	if r.there != nil {
		follow(r.there, there)
	}
	return following.Wait()
}

// source is one of the logs while both are read.
type source struct {
	blocks chan runtime.LogBlock // closed at its end
	head   *runtime.LogBlock
	here   bool
	err    error // valid when blocks is closed
}

func (s *source) advance() {
	s.head = nil
	if b, ok := <-s.blocks; ok {
		s.head = &b
	}
}

// readBoth hands on what is there, merged by time. With last only so many
// lines of it, counted from the end.
func (r *Runtime) readBoth(ctx context.Context, here, there runtime.LogQuery, last int, j *joined) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	open := func(from runtime.Runtime, query runtime.LogQuery) *source {
		s := &source{blocks: make(chan runtime.LogBlock, 1), here: from == r.here}
		work.Go(func() { // ends with the log, or with ctx
			defer close(s.blocks)
			s.err = from.Logs(ctx, query, func(b runtime.LogBlock) error {
				b.Data = bytes.Clone(b.Data)
				select {
				case s.blocks <- b:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		})
		return s
	}
	sources := []*source{open(r.here, here)}
	if r.there != nil {
		sources = append(sources, open(r.there, there))
	}
	var tail []block
	for _, s := range sources {
		s.advance()
	}
	for {
		s := oldest(sources)
		if s == nil {
			break
		}
		if last > 0 {
			tail = append(tail, block{*s.head, s.here})
		} else if err := j.hand(*s.head, s.here); err != nil {
			return err
		}
		s.advance()
	}
	unknown := 0
	for _, s := range sources {
		switch {
		case errors.Is(s.err, runtime.NotFound):
			unknown++
		case s.err != nil:
			return s.err
		}
	}
	if unknown == len(sources) {
		return sources[0].err
	}
	for _, b := range lastLines(tail, last) {
		if err := j.hand(b.LogBlock, b.here); err != nil {
			return err
		}
	}
	return nil
}

func oldest(sources []*source) *source {
	with := slices.DeleteFunc(slices.Clone(sources), func(s *source) bool { return s.head == nil })
	if len(with) == 0 {
		return nil
	}
	return slices.MinFunc(with, func(a, b *source) int {
		return cmp.Or(a.head.Time.Compare(b.head.Time), cmp.Compare(a.head.Offset, b.head.Offset))
	})
}

type block struct {
	runtime.LogBlock
	here bool
}

// lastLines cuts blocks down to so many lines. Both logs were asked for as
// many, so it is at most twice that.
func lastLines(blocks []block, last int) []block {
	for i := len(blocks) - 1; i >= 0; i-- {
		data := blocks[i].Data
		lines := bytes.Count(data, []byte("\n"))
		if len(data) > 0 && data[len(data)-1] != '\n' {
			lines++ // it has no end yet
		}
		if last -= lines; last > 0 {
			continue
		}
		for ; last < 0; last++ { // its first lines are too many
			cut := bytes.IndexByte(blocks[i].Data, '\n') + 1
			blocks[i].Data = blocks[i].Data[cut:]
			blocks[i].Offset += int64(cut)
		}
		return blocks[i:]
	}
	return blocks
}
