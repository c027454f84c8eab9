package main

import (
	"context"
	"errors"
	"time"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// tick is how often a live view is redrawn, for the elapsed times.
const tick = 100 * time.Millisecond

// errTimeout says that services still move when the time was up.
var errTimeout = errors.New("timed out")

// await follows services until the board has settled, shown by a view.
// limit 0 is none. The board is as far as it got, whatever the error.
func (c *cli) await(ctx context.Context, client steadpb.DaemonClient, sel *steadpb.Selection, b *board, limit time.Duration) error {
	v := c.newView()
	defer func() { v.end(b, time.Now()) }()
	ctx, cancel := context.WithCancel(ctx)
	updates, result := watch(ctx, client, sel)
	defer func() {
		cancel()
		<-result
	}()
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	problem := ""
	for !b.settled() {
		select {
		case update, more := <-updates:
			if !more {
				next, err := c.successor(ctx, streamEnd(ctx, result))
				if err != nil {
					return err
				}
				updates, result = watch(ctx, next, sel)
				continue
			}
			b.update(update)
			if now := update.DaemonProblem; now != problem && now != "" { // what is waited for may wait for this
				v.end(b, time.Now())
				c.warn("%s", now)
			}
			problem = update.DaemonProblem
			v.show(b, time.Now())
		case now := <-ticker.C:
			v.show(b, now)
		case <-late:
			return errTimeout
		}
	}
	return nil
}

// watch sends what Watch sends, and closes updates when that has ended; then
// (and only then) result has the error, and is closed.
func watch(ctx context.Context, client steadpb.DaemonClient, sel *steadpb.Selection) (updates <-chan *steadpb.StatusResponse, result <-chan error) {
	sent, ended := make(chan *steadpb.StatusResponse), make(chan error, 1)
	go func() { // ends with the stream, which ctx ends
		defer close(ended)
		defer close(sent)
		stream, err := client.Watch(ctx, &steadpb.StatusRequest{Selection: sel})
		if err != nil {
			ended <- err
			return
		}
		ended <- each(stream, func(update *steadpb.StatusResponse) error {
			select {
			case sent <- update:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	return sent, ended
}

// streamEnd returns why a stream that should go on has ended.
func streamEnd(ctx context.Context, result <-chan error) error {
	err := <-result
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		return errors.New("the daemon has ended the stream")
	}
	return err
}
