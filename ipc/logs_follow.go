package ipc

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// followPause is the least time between two looks at what there is to follow.
const followPause = 100 * time.Millisecond

// follow sends what is written from the offsets next on, also by services
// that come to be later. It ends with ctx, or when a log cannot be read.
func (r logReader) follow(ctx context.Context, next map[supervisor.Name]int64) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { // starts the others; ends with ctx
		following := map[supervisor.Name]bool{}
		for {
			p := r.backend.Present()
			for _, n := range stillChosen(p, r.req.GetSelection()) {
				if !following[n] {
					following[n] = true
					g.Go(func() error { return r.followOne(ctx, shownProject(p, n.Project), n, next[n]) })
				}
			}
			if err := r.change(ctx, p); err != nil {
				return err
			}
		}
	})
	return g.Wait()
}

// followOne follows one service's log from offset on until ctx ends. A log
// that is not there yet, or a runtime that is being replaced, is waited for.
func (r logReader) followOne(ctx context.Context, project string, n supervisor.Name, offset int64) error {
	for {
		p := r.backend.Present()
		query := r.query(n)
		query.Follow, query.Offset = true, offset
		err := r.backend.Logs(ctx, query, func(b runtime.LogBlock) error {
			r.queue.offer(logBlockView(project, n, b))
			offset = b.Offset + int64(len(b.Data))
			return nil
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && !errors.Is(err, runtime.NotFound) && !errors.Is(err, runtime.Unavailable) {
			return err
		}
		if err := r.change(ctx, p); err != nil {
			return err
		}
	}
}

// change waits until there is something newer than p, and a little longer.
func (r logReader) change(ctx context.Context, p *Present) error {
	if err := await(ctx, r.backend.Changed(p)); err != nil {
		return err
	}
	pause := time.NewTimer(followPause)
	defer pause.Stop()
	return await(ctx, pause.C)
}
