package kubernetes

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/stead-dev/stead/runtime"
)

const (
	mergeAhead = 16                    // lines of each pod that wait to be merged
	mergeHold  = 50 * time.Millisecond // for which a line of one pod waits for older ones of others, while they are followed
	mergeMost  = 1 << 20               // bytes that wait so
)

// merger brings what several sources say into the order of time. Each source
// is in that order by itself, or nearly.
type merger struct {
	sources []*source
	work    sync.WaitGroup
}

type source struct {
	lines chan logLine // closed at the end
	err   error        // then: why
	head  logLine
}

// add starts a goroutine for a source. It ends with read, at the latest when
// ctx does.
func (m *merger) add(ctx context.Context, read func(ctx context.Context, to chan<- logLine) error) {
	s := &source{lines: make(chan logLine, mergeAhead)}
	m.sources = append(m.sources, s)
	m.work.Go(func() {
		defer close(s.lines)
		s.err = read(ctx, s.lines)
	})
}

func (m *merger) wait() { m.work.Wait() }

// inOrder emits the lines of all sources until they have ended.
func (m *merger) inOrder(emit func(logLine) error) error {
	var heads byTime
	advance := func(s *source) error {
		line, ok := <-s.lines
		if !ok {
			return s.err
		}
		s.head = line
		heap.Push(&heads, s)
		return nil
	}
	for _, s := range m.sources {
		if err := advance(s); err != nil {
			return err
		}
	}
	for len(heads) > 0 {
		s := heap.Pop(&heads).(*source)
		if err := emit(s.head); err != nil {
			return err
		}
		if err := advance(s); err != nil {
			return err
		}
	}
	return nil
}

// byTime is a heap of sources by their heads.
type byTime []*source

func (h byTime) Len() int           { return len(h) }
func (h byTime) Less(i, j int) bool { return h[i].head.time.Before(h[j].head.time) }
func (h byTime) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byTime) Push(x any)        { *h = append(*h, x.(*source)) }
func (h *byTime) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// ring keeps the last lines.
type ring struct {
	lines []logLine
	next  int
	most  int
}

func newRing(most int) *ring { return &ring{most: most} }

func (r *ring) add(line logLine) {
	switch {
	case len(r.lines) < r.most:
		r.lines = append(r.lines, line)
	default:
		r.lines[r.next] = line
		r.next = (r.next + 1) % r.most
	}
}

func (r *ring) each(fn func(logLine) error) error {
	for i := range r.lines {
		if err := fn(r.lines[(r.next+i)%len(r.lines)]); err != nil {
			return err
		}
	}
	return nil
}

// follow hands over what is written from now on, by pods that are there and
// those that come.
func (l *logReader) follow(ctx context.Context, places map[string]*place, fn func(runtime.LogBlock) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	lines := make(chan logLine, mergeAhead)
	tails := map[types.UID]bool{}
	batch := &batch{reader: l, fn: fn, timer: time.NewTimer(0)}
	defer batch.timer.Stop()
	for {
		seen, _, changed := l.pods.writers(l.service())
		for _, s := range seen {
			if tails[s.pod.UID] {
				continue
			}
			tails[s.pod.UID] = true
			one := l.tailFrom(s, places)
			work.Go(func() { _ = one.future(ctx, lines) }) // ends when the pod is gone, or by cancel
		}
		for uid := range tails {
			if !slices.ContainsFunc(seen, func(s sight) bool { return s.pod.UID == uid }) {
				delete(tails, uid)
			}
		}
		if err := batch.collect(ctx, lines, changed, len(tails) > 1); err != nil {
			return err
		}
	}
}

// tailFrom goes on where the backlog ended.
func (l *logReader) tailFrom(s sight, places map[string]*place) *tail {
	t := &tail{reader: l, pod: s, places: map[string]*place{}, last: l.last[s.pod.UID]}
	for _, r := range s.runs() {
		if p := places[r.container]; p != nil {
			t.places[r.container] = p
		}
	}
	return t
}

// batch is what waits for older lines.
type batch struct {
	reader *logReader
	fn     func(runtime.LogBlock) error
	timer  *time.Timer
	lines  []logLine
	bytes  int
}

// collect hands lines over until the pods have changed.
func (b *batch) collect(ctx context.Context, lines <-chan logLine, changed <-chan struct{}, hold bool) error {
	for {
		select {
		case line := <-lines:
			if len(b.lines) == 0 {
				b.timer.Reset(mergeHold)
			}
			b.lines, b.bytes = append(b.lines, line), b.bytes+len(line.data)
			if hold && b.bytes < mergeMost {
				continue
			}
		case <-b.timer.C:
		case <-changed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := b.flush(); err != nil {
			return err
		}
	}
}

func (b *batch) flush() error {
	slices.SortStableFunc(b.lines, func(x, y logLine) int { return x.time.Compare(y.time) })
	for _, line := range b.lines {
		if !b.reader.wants(&line) {
			continue
		}
		if err := b.reader.hand(line, b.fn); err != nil {
			return err
		}
	}
	b.lines, b.bytes = b.lines[:0], 0
	return nil
}
