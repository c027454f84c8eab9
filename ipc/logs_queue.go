package ipc

import (
	"context"
	"io"
	"sync"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// blockCost is what a block takes besides its data, so that many tiny ones
// are bounded, too.
const blockCost = 256

// logQueue is what waits for one reader of logs, bounded in bytes. One
// goroutine takes; many may offer, or one may put.
type logQueue struct {
	limit int
	ready chan struct{} // holds a token when there may be something to take
	hurry chan struct{} // holds a token when waiting for more is of no use
	room  chan struct{} // holds a token when something was taken

	mu     sync.Mutex
	blocks []*steadpb.LogBlock
	size   int
	lost   map[logKey]int64 // bytes that were dropped and not told yet
	err    error            // why nothing more comes; io.EOF: the end
}

// logKey is a log: offsets and gaps are counted in it.
type logKey struct{ project, service string }

func keyOf(b *steadpb.LogBlock) logKey { return logKey{b.GetProject(), b.GetService()} }

func newLogQueue(limit int) *logQueue {
	return &logQueue{
		limit: limit,
		ready: make(chan struct{}, 1),
		hurry: make(chan struct{}, 1),
		room:  make(chan struct{}, 1),
		lost:  map[logKey]int64{},
	}
}

// put adds b, and waits until there is room for it.
func (q *logQueue) put(ctx context.Context, b *steadpb.LogBlock) error {
	for {
		q.mu.Lock()
		fits := len(q.blocks) == 0 || q.size+cost(b) <= q.limit
		if fits {
			q.add(b)
		}
		q.mu.Unlock()
		if fits {
			return nil
		}
		if err := await(ctx, q.room); err != nil {
			return err
		}
	}
}

// offer adds b and never waits: when there is no room, the oldest blocks are
// dropped and become a gap before the next block of their log.
func (q *logQueue) offer(b *steadpb.LogBlock) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(b)
	for q.size > q.limit && len(q.blocks) > 1 {
		oldest := q.pop()
		q.lost[keyOf(oldest)] += oldest.GetGap() + int64(len(oldest.GetData()))
	}
}

// close says that nothing more comes, and why; nil is the end.
func (q *logQueue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err = err; err == nil {
		q.err = io.EOF
	}
	signal(q.ready)
	signal(q.hurry)
}

// take returns the oldest blocks, about size bytes of them, and when nothing
// is left and nothing more comes, why.
func (q *logQueue) take(size int) ([]*steadpb.LogBlock, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []*steadpb.LogBlock
	for taken := 0; len(q.blocks) > 0 && taken < size; {
		b := q.pop()
		b.Gap += q.lost[keyOf(b)]
		delete(q.lost, keyOf(b))
		taken += cost(b)
		out = append(out, b)
	}
	signal(q.room)
	if len(q.blocks) > 0 {
		q.wake()
		return out, nil
	}
	q.blocks = nil                 // let go of the array that popping has walked through
	for key, gap := range q.lost { // of logs that have written nothing since
		out = append(out, &steadpb.LogBlock{Project: key.project, Service: key.service, Stream: "unknown", Gap: gap})
		delete(q.lost, key)
	}
	return out, q.err
}

func (q *logQueue) add(b *steadpb.LogBlock) {
	q.blocks = append(q.blocks, b)
	q.size += cost(b)
	q.wake()
}

func (q *logQueue) wake() {
	signal(q.ready)
	if q.size >= logBatch || q.err != nil {
		signal(q.hurry)
	}
}

func (q *logQueue) pop() *steadpb.LogBlock {
	b := q.blocks[0]
	q.blocks[0] = nil // append copies what is left when it needs room, so the array stays small
	q.blocks = q.blocks[1:]
	q.size -= cost(b)
	return b
}

func cost(b *steadpb.LogBlock) int { return len(b.GetData()) + blockCost }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
