package plugin

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

// Terminal implements runtime.Runtime. The session ends when ctx does.
func (c *Client) Terminal(ctx context.Context, req runtime.TerminalRequest) (runtime.Session, error) {
	streamCtx, cancel := context.WithCancel(ctx)
	stream, err := c.openTerminal(streamCtx, req)
	if err != nil {
		err = errorFromStatus(ctx, err)
		cancel()
		return nil, err
	}
	explain := func(err error) error {
		if closed := streamCtx.Err(); closed != nil && ctx.Err() == nil {
			return closed
		}
		return errorFromStatus(ctx, err)
	}
	return &session{stream, cancel, explain}, nil
}

type clientTerminal = grpc.BidiStreamingClient[runtimepb.TerminalRequest, runtimepb.TerminalResponse]

func (c *Client) openTerminal(ctx context.Context, req runtime.TerminalRequest) (clientTerminal, error) {
	stream, err := c.rpc.Terminal(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&runtimepb.TerminalRequest{Open: openToProto(req)})
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the reason comes by Recv
		return nil, err
	}
	if _, err := stream.Recv(); err != nil {
		return nil, err
	}
	return stream, nil
}

// session is a Terminal stream. One goroutine may send while another receives.
type session struct {
	stream  clientTerminal
	cancel  context.CancelFunc
	explain func(error) error // by the contexts of caller and Close: the stream's own is over as soon as the stream is
}

func (s *session) Send(in runtime.TerminalInput) error {
	return s.end(s.stream.Send(inputToProto(in)))
}

func (s *session) Receive() (runtime.TerminalOutput, error) {
	res, err := s.stream.Recv()
	if err != nil {
		return runtime.TerminalOutput{}, s.end(err)
	}
	return outputFromProto(res), nil
}

func (s *session) Close() error {
	s.cancel()
	return nil
}

// end leaves io.EOF as it is: the session has ended.
func (s *session) end(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return s.explain(err)
}
