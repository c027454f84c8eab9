package image

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
)

// feed is a layer on its way to a node while it is still being made, so that
// the two take no longer than one of them. Nothing depends on it: what does not
// arrive goes with the image.
type feed struct {
	to     *io.PipeWriter
	broken bool // the node takes no more
	ended  chan error
}

// errUnmade ends the feed of a layer that was given up.
var errUnmade = errors.New("the layer was given up")

// feed starts one. It has to be closed. A node keeps what is no image's until
// it next cleans up.
func (p *Packer) feed(ctx context.Context) *feed {
	from, to := io.Pipe()
	f := &feed{to: to, ended: make(chan error, 1)}
	go func() { // ends with the command, which ends when the feed is closed
		_, err := p.ctr(ctx, func(w io.Writer) error {
			_, err := io.Copy(w, from)
			return errors.Join(err, from.CloseWithError(errPipe))
		}, "content", "ingest", "stead-"+rand.Text())
		_ = from.CloseWithError(errPipe) // it may not have started
		f.ended <- err
	}()
	return f
}

// Write never fails.
func (f *feed) Write(b []byte) (int, error) {
	if !f.broken {
		_, err := f.to.Write(b)
		f.broken = err != nil
	}
	return len(b), nil
}

// close waits until the node has said whether it has the layer; made is the
// error that ended its making, if any.
func (f *feed) close(made error) (arrived bool) {
	if made != nil {
		made = errors.Join(errUnmade, made)
	}
	_ = f.to.CloseWithError(made) // always nil
	return <-f.ended == nil && made == nil && !f.broken
}
