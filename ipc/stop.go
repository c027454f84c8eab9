package ipc

import (
	"context"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// Stop ends the daemon.
func (h handlers) Stop(ctx context.Context, req *steadpb.StopRequest) (*steadpb.StopResponse, error) {
	var v violations
	if t := req.GetTimeout(); t != nil {
		if !t.IsValid() || t.AsDuration() <= 0 {
			v.add("timeout: want a positive duration")
		}
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	if t := req.GetTimeout(); t != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.AsDuration())
		defer cancel()
	}
	stopped, err := h.backend.Stop(ctx, req.GetServices())
	if err != nil {
		return nil, err
	}
	return &steadpb.StopResponse{Stopped: int32(stopped)}, nil
}
