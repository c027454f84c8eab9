package plugin

import (
	"bytes"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

// A message per block costs more than the bytes in it (22 µs measured, a line
// each), so blocks travel together: as many as fill batchBytes, or as came
// within batchDelay of the message before. After a pause a block travels at
// once: whoever follows a log sees a line as soon as it is there.
const (
	batchBytes = 256 << 10
	batchDelay = 5 * time.Millisecond
)

// logBatch collects blocks into messages. Besides one message it holds
// nothing: send blocks while the reader is slow, and then add does.
type logBatch struct {
	send func(*runtimepb.LogsResponse) error

	mu     sync.Mutex // held while sending, too: a stream takes one sender at a time
	blocks []*runtimepb.LogBlock
	size   int
	sent   time.Time   // when the last message was
	timer  *time.Timer // runs while blocks wait
	err    error       // of a send by the timer
	closed bool
}

func (b *logBatch) add(block runtime.LogBlock) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	block.Data = bytes.Clone(block.Data) // it is only ours during this call
	b.blocks = append(b.blocks, blockToProto(block))
	b.size += len(block.Data)
	if b.size >= batchBytes {
		return b.flush()
	}
	if len(b.blocks) > 1 {
		return b.err // the timer runs
	}
	wait := batchDelay - time.Since(b.sent)
	switch {
	case wait <= 0:
		return b.flush()
	case b.timer == nil:
		b.timer = time.AfterFunc(wait, b.tick)
	default:
		b.timer.Reset(wait)
	}
	return b.err
}

// tick is the timer's; it may still come after close and does nothing then.
func (b *logBatch) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.err = b.flush()
	}
}

// flush sends what there is. The caller holds mu.
func (b *logBatch) flush() error {
	if b.err != nil || len(b.blocks) == 0 {
		return b.err
	}
	if b.timer != nil {
		b.timer.Stop()
	}
	b.err = b.send(&runtimepb.LogsResponse{Blocks: b.blocks})
	b.blocks, b.size = nil, 0
	b.sent = time.Now()
	return b.err
}

// close sends the rest. No send happens after it.
func (b *logBatch) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.flush()
}
