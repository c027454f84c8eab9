package ipc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// Version says who answers.
func (h handlers) Version(ctx context.Context, _ *steadpb.VersionRequest) (*steadpb.VersionResponse, error) {
	d := h.backend.Describe(ctx)
	out := &steadpb.VersionResponse{
		Version: d.Version,
		Api:     API,
		Pid:     int32(d.PID),
		Home:    valid(d.Home),
		Socket:  valid(d.Socket),
		Started: timestamppb.New(d.Started),

		Goroutines: int32(d.Goroutines),
	}
	if r := d.Runtime; r != nil {
		out.Runtime = &steadpb.Runtime{
			Name: r.Name, Build: r.Build, Pid: int32(r.PID), Capabilities: r.Capabilities, Goroutines: int32(r.Goroutines),
		}
	}
	return out, nil
}
