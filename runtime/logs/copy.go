package logs

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// holdFor is how long the beginning of a line waits for its end.
const holdFor = 10 * time.Millisecond

// block has room for a full pipe behind the beginning of a line: emptying the
// pipe in one read, whole pages of it, is worth 10 % of the speed.
type block [maxBlock + 8<<10]byte

var blocks = sync.Pool{New: func() any { return new(block) }}

// Copy appends everything that can be read from src, a pipe or the master of
// a pty, and returns at its end, or when src is closed. Output is cut at line
// ends; a line whose end does not come within 10 ms, or 64 KiB, is cut there.
// With tee, each piece is also given to it, as it was read and before it is
// appended, valid during the call.
//
// src should be non-blocking (os.Pipe is): then nothing but the goroutine's
// stack is held while there is nothing to read. From one that blocks, lines
// are not held for their end, and a block is held while it waits.
func (w *Writer) Copy(src *os.File, instance runtime.InstanceID, stream runtime.Stream, tee func([]byte)) {
	raw, err := src.SyscallConn()
	if err != nil {
		return // closed
	}
	c := &copier{src: src, raw: raw, timed: src.SetReadDeadline(time.Time{}) == nil}
	c.try = c.read
	c.put = func(data []byte) { w.log.append(instance, stream, data) }
	c.tee = tee
	c.run()
}

// copier is one call of Copy. It holds a block only while there is something
// in it.
type copier struct {
	src   *os.File
	raw   syscall.RawConn
	timed bool // src has deadlines, so a line can be held
	try   func(fd uintptr) bool
	put   func([]byte)
	tee   func([]byte)

	block *block
	held  int       // bytes in block: the beginning of a line
	due   time.Time // when they are put as they are
	wait  bool      // read waits for more
	n     int       // what read got
	err   error
}

func (c *copier) run() {
	defer c.release()
	for {
		// With something held, first look whether there is more at once:
		// a deadline is only worth setting when there is not.
		c.wait = c.held == 0
		err := c.next()
		if err == syscall.EAGAIN {
			c.src.SetReadDeadline(c.due)
			c.wait = true
			err = c.next()
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.src.SetReadDeadline(time.Time{})
			if !time.Now().Before(c.due) { // else it was the deadline of an earlier line
				c.flush()
			}
		case err != nil || c.n == 0:
			c.flush()
			return // the end; of a pty that is EIO on Linux
		default:
			c.add(c.n)
		}
	}
}

// next reads once into the free part of the block.
func (c *copier) next() error {
	c.n, c.err = 0, nil
	if err := c.raw.Read(c.try); err != nil {
		return err
	}
	return c.err
}

// read is called by the poller, at first and then when src may be readable.
func (c *copier) read(fd uintptr) bool {
	if c.block == nil {
		c.block = blocks.Get().(*block)
	}
	for {
		c.n, c.err = syscall.Read(int(fd), c.block[c.held:min(c.held+maxBlock, len(c.block))])
		if c.err != syscall.EINTR {
			break
		}
	}
	if c.err != syscall.EAGAIN {
		return true
	}
	if c.held == 0 {
		c.release()
	}
	return !c.wait
}

// add takes n new bytes in the block: whole lines are put, the rest is held.
func (c *copier) add(n int) {
	fresh := c.block[c.held : c.held+n]
	if c.tee != nil {
		c.tee(fresh)
	}
	lines := bytes.LastIndexByte(fresh, '\n') + 1
	if lines > 0 {
		lines += c.held
	}
	c.held += n
	switch {
	case lines == c.held, lines == 0 && c.held >= maxBlock, !c.timed:
		c.flush()
	case lines > 0:
		c.put(c.block[:lines])
		c.held = copy(c.block[:], c.block[lines:c.held])
		c.due = time.Now().Add(holdFor)
	case c.held == n:
		c.due = time.Now().Add(holdFor)
	case !time.Now().Before(c.due):
		c.flush()
	}
}

// flush puts what is held, whether or not it ends a line.
func (c *copier) flush() {
	if c.held > 0 {
		c.put(c.block[:c.held])
		c.held = 0
	}
}

func (c *copier) release() {
	if c.block != nil {
		blocks.Put(c.block)
		c.block = nil
	}
}
