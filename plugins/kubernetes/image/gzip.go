package image

import (
	"bytes"
	"compress/gzip"
	"io"
	goruntime "runtime"
)

// parallelGzip compresses pieces of a stream side by side. Each becomes a gzip
// member of its own (RFC 1952, section 2.2, lets them follow each other), so
// that the result depends on the bytes alone, not on the number of cores.
//
// Close must be called, also after an error: it waits for all goroutines.
type parallelGzip struct {
	out     io.Writer
	piece   int      // bytes
	presses []*press // used in turns, so that the oldest piece is always next
	turn    int
}

// press is a place for one piece.
type press struct {
	zip  *gzip.Writer // nil until the first piece
	in   []byte
	out  bytes.Buffer
	busy chan error // nil while nothing runs
}

const (
	// gzipPiece is large enough for a window of 32 KiB to matter little.
	gzipPiece = 1 << 20
	// maxPresses bounds memory, which is some 3 MB for each.
	maxPresses = 4
)

// cores is how many pieces are compressed at once.
func cores() int { return min(goruntime.GOMAXPROCS(0), maxPresses) }

func newParallelGzip(out io.Writer, presses, piece int) *parallelGzip {
	g := &parallelGzip{out: out, piece: piece}
	for range presses {
		g.presses = append(g.presses, &press{})
	}
	return g
}

func (g *parallelGzip) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		at := g.presses[g.turn]
		if at.in == nil {
			at.in = make([]byte, 0, g.piece)
		}
		take := min(len(p), g.piece-len(at.in))
		at.in = append(at.in, p[:take]...)
		p = p[take:]
		if len(at.in) == g.piece {
			if err := g.next(); err != nil {
				return n - len(p), err
			}
		}
	}
	return n, nil
}

// next sets the current press to work, and empties the one after it.
func (g *parallelGzip) next() error {
	g.presses[g.turn].start()
	g.turn = (g.turn + 1) % len(g.presses)
	return g.presses[g.turn].empty(g.out)
}

// start has a goroutine compress the piece. It ends when that is done; empty
// waits for it.
func (p *press) start() {
	done := make(chan error, 1)
	p.busy = done
	go func() {
		done <- p.compress()
	}()
}

func (p *press) compress() (err error) {
	p.out.Reset()
	if p.zip == nil {
		p.out.Grow(cap(p.in) / 2)
		p.zip, err = gzip.NewWriterLevel(&p.out, gzip.BestSpeed)
		if err != nil {
			return err
		}
	} else {
		p.zip.Reset(&p.out)
	}
	if _, err := p.zip.Write(p.in); err != nil {
		return err
	}
	return p.zip.Close()
}

// empty waits for the piece, if there is one, and writes it; nil writes
// nothing.
func (p *press) empty(out io.Writer) error {
	if p.busy == nil {
		return nil
	}
	err := <-p.busy
	p.busy, p.in = nil, p.in[:0]
	if err != nil || out == nil {
		return err
	}
	_, err = out.Write(p.out.Bytes())
	return err
}

// Close writes what is left. A tar stream is never empty, so there is always a
// piece.
func (g *parallelGzip) Close() error {
	if len(g.presses[g.turn].in) > 0 {
		g.presses[g.turn].start()
	}
	var first error
	for i := range g.presses { // from the oldest on, which follows the current one
		out := g.out
		if first != nil {
			out = nil
		}
		if err := g.presses[(g.turn+1+i)%len(g.presses)].empty(out); err != nil && first == nil {
			first = err
		}
	}
	return first
}
