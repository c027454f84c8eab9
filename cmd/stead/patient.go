package main

import (
	"context"
	"errors"
	"time"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// patient is a client whose first question, which is that for the status,
// survives a daemon that was killed a moment ago: its socket accepts until the
// kernel has ended the last of its threads.
type patient struct {
	steadpb.DaemonClient
	cli  *cli
	home ipc.Home
}

// dyingLimit is how long a killed daemon may take to be gone, on a machine
// with a lot to do. One that answers with errors for longer is a sick one.
const dyingLimit = 2 * time.Second

func (p *patient) Status(ctx context.Context, request *steadpb.StatusRequest) (*steadpb.StatusResponse, error) {
	answer, err := p.DaemonClient.Status(ctx, request)
	if !errors.Is(err, runtime.Unavailable) || !bereft(p.home) || !p.gone(ctx) {
		return answer, err
	}
	if _, err := p.cli.ensureDaemon(ctx); err != nil {
		return nil, err
	}
	p.DaemonClient = ipc.NewClient(p.home.Socket)
	return p.DaemonClient.Status(ctx, request)
}

// gone waits until nobody listens any more, and reports whether that is so.
func (p *patient) gone(ctx context.Context) bool {
	limit := time.NewTimer(dyingLimit)
	defer limit.Stop()
	poll := time.NewTicker(stopPoll)
	defer poll.Stop()
	for alive(p.home.Socket) {
		select {
		case <-poll.C:
		case <-limit.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
