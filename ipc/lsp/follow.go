package lsp

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// How long the daemon is left alone after it was not there, or went: it takes
// milliseconds to start, and may not be wanted for days.
const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 2 * time.Second
)

// snapshot is all that is wrong, by service.
type snapshot []*steadpb.Service

// follower keeps the newest snapshot in newest, which has room for one.
type follower struct {
	daemon Watcher
	log    *slog.Logger
	newest chan snapshot
}

// run follows one daemon after the other until ctx ends.
func (f *follower) run(ctx context.Context) {
	pause := shortestPause
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		connected, err := f.watch(ctx)
		if ctx.Err() != nil {
			return
		}
		if connected {
			pause = shortestPause
		}
		f.log.Debug("the daemon is waited for", "err", err, "dur", pause)
		timer.Reset(pause)
		pause = min(2*pause, longestPause)
	}
}

// watch follows one daemon until it goes, and reports whether it was there.
func (f *follower) watch(ctx context.Context) (connected bool, err error) {
	stream, err := f.daemon.Watch(ctx, &steadpb.StatusRequest{})
	if err != nil {
		return false, err
	}
	defer func() { _ = stream.Close() }() // what matters came by Receive
	seen := map[string]*steadpb.Service{} // the first message is all there is
	for {
		update, err := stream.Receive()
		if err != nil {
			return connected, err
		}
		for _, s := range update.GetServices() {
			seen[s.GetProject()+"/"+s.GetName()] = s
		}
		for _, key := range update.GetRemoved() {
			delete(seen, key)
		}
		connected = true
		f.offer(wrongIn(seen))
	}
}

// offer takes the place of a snapshot that nobody has taken.
func (f *follower) offer(s snapshot) {
	select {
	case <-f.newest:
	default:
	}
	f.newest <- s // there is room: nobody else sends
}

func wrongIn(seen map[string]*steadpb.Service) snapshot {
	var all snapshot
	for _, s := range seen {
		if len(s.GetDiagnostics()) > 0 {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *steadpb.Service) int {
		if by := strings.Compare(a.GetProject(), b.GetProject()); by != 0 {
			return by
		}
		return strings.Compare(a.GetName(), b.GetName())
	})
	return all
}
