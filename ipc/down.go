package ipc

import (
	"context"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// Down wants services down.
func (h handlers) Down(ctx context.Context, req *steadpb.DownRequest) (*steadpb.DownResponse, error) {
	var v violations
	v.selection(req.GetSelection())
	if err := v.err(); err != nil {
		return nil, err
	}
	c, err := resolve(h.backend.Present(), req.GetSelection())
	if err != nil {
		return nil, err
	}
	if req.GetReleased() {
		if r, ok := h.backend.(Releaser); ok {
			r.AwaitReleased(ctx, c.names)
		}
		return &steadpb.DownResponse{Project: valid(c.projectID()), Services: c.services()}, nil
	}
	if len(c.names) > 0 {
		if err := h.backend.Want(ctx, c.names, false); err != nil {
			return nil, err
		}
	}
	return &steadpb.DownResponse{Project: valid(c.projectID()), Services: c.services()}, nil
}
