package plugin

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

type terminalStream = grpc.BidiStreamingServer[runtimepb.TerminalRequest, runtimepb.TerminalResponse]

func (s *server) Terminal(stream terminalStream) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetOpen() == nil {
		return fmt.Errorf("a terminal stream whose first message does not open it: %w", runtime.Invalid)
	}
	session, err := s.runtime.Terminal(stream.Context(), openFromProto(first.GetOpen()))
	if err != nil {
		return err
	}
	defer session.Close()
	if err := stream.Send(&runtimepb.TerminalResponse{}); err != nil {
		return err
	}
	// Receive has no context: closing the session is what wakes it when the
	// client has gone or the server stops.
	gone := make(chan struct{})
	release := make(chan struct{})
	go func() { // ends with the stream's context, or when this method is about to return
		defer close(gone)
		select {
		case <-stream.Context().Done():
			session.Close()
		case <-release:
		}
	}()
	go feed(session, stream) // ends when the client or this method ends the stream: Recv fails then
	err = copyOutput(session, stream)
	close(release)
	<-gone
	return err
}

// feed hands input on until the stream has none; a session that refuses input
// has ended, which Receive reports.
func feed(session runtime.Session, stream terminalStream) {
	for {
		in, err := stream.Recv()
		if err != nil || session.Send(inputFromProto(in)) != nil {
			return
		}
	}
}

func copyOutput(session runtime.Session, stream terminalStream) error {
	for {
		out, err := session.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(outputToProto(out)); err != nil {
			return err
		}
	}
}
