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
	ctx, cancel := context.WithCancel(ctx)
	session, err := c.openTerminal(ctx, cancel, req)
	if err != nil {
		err = errorFromStatus(ctx, err)
		cancel()
		return nil, err
	}
	return session, nil
}

func (c *Client) openTerminal(ctx context.Context, cancel context.CancelFunc, req runtime.TerminalRequest) (*session, error) {
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
	return &session{stream, cancel}, nil
}

// session is a Terminal stream. One goroutine may send while another receives.
type session struct {
	stream grpc.BidiStreamingClient[runtimepb.TerminalRequest, runtimepb.TerminalResponse]
	cancel context.CancelFunc
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
	return errorFromStatus(s.stream.Context(), err)
}
