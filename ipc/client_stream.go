package ipc

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	"github.com/stead-dev/stead/runtime"
)

// callDaemon says which API the client speaks, and turns errors back into
// those of the contract.
func callDaemon(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		info, _ := connect.CallInfoForClientContext(ctx)
		info.RequestHeader().Set(apiHeader, apiText)
		stream, err := next(ctx, spec)
		if err != nil {
			return nil, FromError(err)
		}
		return &daemonStream{ClientStream: stream, info: info, procedure: spec.Procedure}, nil
	}
}

// daemonStream is a call in the client's hands.
type daemonStream struct {
	connect.ClientStream
	info      *connect.CallInfo
	procedure string
}

func (s *daemonStream) SendHeaders() error { return FromError(s.ClientStream.SendHeaders()) }
func (s *daemonStream) Send(m any) error   { return FromError(s.ClientStream.Send(m)) }
func (s *daemonStream) CloseSend() error   { return FromError(s.ClientStream.CloseSend()) }

// Close reports nothing: what matters came by Receive, and a call that was
// given up has no more to say.
func (s *daemonStream) Close() error {
	_ = s.ClientStream.Close()
	return nil
}

func (s *daemonStream) Receive(m any) error {
	err := s.ClientStream.Receive(m)
	if err == nil {
		return nil
	}
	out := FromError(err)
	if errors.Is(out, runtime.Unsupported) && runtime.Hint(out) == "" {
		// No word of our daemon: one from before unknownRPC, or something else.
		return unknownCall(s.procedure, apiText, s.info.ResponseHeader().Get(apiHeader))
	}
	return out
}
