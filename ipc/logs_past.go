package ipc

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// past sends what is there, merged by time, and returns for each service the
// offset from which to follow. A slow reader slows it down; nothing is lost.
func (r logReader) past(ctx context.Context) (map[supervisor.Name]int64, error) {
	p := r.backend.Present()
	g, ctx := errgroup.WithContext(ctx)
	var sources []*logSource
	for i, n := range stillChosen(p, r.req.GetSelection()) {
		// One block waits here and one in the source's hand: the merge holds
		// two blocks (128 KiB) per service at most.
		s := &logSource{name: n, order: i, blocks: make(chan *steadpb.LogBlock, 1)}
		sources = append(sources, s)
		g.Go(func() error { // ends with its log, or with ctx
			defer close(s.blocks)
			return r.readPast(ctx, shownProject(p, n.Project), s)
		})
	}
	next := map[supervisor.Name]int64{}
	g.Go(func() error { return r.merge(ctx, sources, next) })
	return next, g.Wait()
}

// readPast reads one service's log to its end.
func (r logReader) readPast(ctx context.Context, project string, s *logSource) error {
	query := r.query(s.name)
	query.Last = int(r.req.GetLast())
	err := r.backend.Logs(ctx, query, func(b runtime.LogBlock) error {
		select {
		case s.blocks <- logBlockView(project, s.name, b):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	if errors.Is(err, runtime.NotFound) { // known to the daemon, but it never ran
		return nil
	}
	return err
}

// merge moves the blocks of all sources to the queue, the oldest first. Blocks
// of one source keep their order, even if the clock went back: what was
// written after that comes after all that was written before, of any source.
func (r logReader) merge(ctx context.Context, sources []*logSource, next map[supervisor.Name]int64) error {
	var heads logHeap
	for _, s := range sources {
		if s.advance() {
			heads = append(heads, s)
		}
	}
	heap.Init(&heads)
	for len(heads) > 0 {
		s := heads[0]
		if len(s.head.GetData()) > 0 || s.head.GetGap() > 0 { // else it says how far a search came
			if err := r.queue.put(ctx, s.head); err != nil {
				return err
			}
		}
		next[s.name] = s.head.GetOffset() + int64(len(s.head.GetData()))
		if s.advance() {
			heap.Fix(&heads, 0)
		} else {
			heap.Pop(&heads)
		}
	}
	return nil
}

// logSource is one service's log during a merge.
type logSource struct {
	name   supervisor.Name
	order  int // decides between equal times
	blocks chan *steadpb.LogBlock
	head   *steadpb.LogBlock
	time   time.Time // of head
	epoch  int       // how often the clock was set back before head
}

// setBack tells a clock that was set from one that is merely corrected.
const setBack = time.Minute

// advance waits for the next block and reports whether there is one.
func (s *logSource) advance() bool {
	var ok bool
	if s.head, ok = <-s.blocks; !ok {
		return false
	}
	at := s.head.GetTime().AsTime()
	if s.time.Sub(at) > setBack {
		s.epoch++
	}
	s.time = at
	return true
}

// logHeap has the source with the oldest head first.
type logHeap []*logSource

func (h logHeap) Len() int      { return len(h) }
func (h logHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h logHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(cmp.Compare(a.epoch, b.epoch), a.time.Compare(b.time), cmp.Compare(a.order, b.order)) < 0
}
func (h *logHeap) Push(x any) { *h = append(*h, x.(*logSource)) }
func (h *logHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
