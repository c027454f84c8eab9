package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

type connectStream = grpc.BidiStreamingServer[runtimepb.ConnectRequest, runtimepb.ConnectResponse]

func (s *server) Connect(stream connectStream) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetOpen() == nil {
		return fmt.Errorf("a connect stream whose first message does not open it: %w", runtime.Invalid)
	}
	ctx := stream.Context()
	conn, err := s.runtime.Connect(ctx, connectFromProto(first.GetOpen()))
	if err != nil {
		return err
	}
	defer conn.Close()
	// Read and Write have no context: closing is what wakes them.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := stream.Send(&runtimepb.ConnectResponse{}); err != nil {
		return err
	}
	fed := make(chan error, 1)
	go feedConn(conn, stream, fed) // ends when the client closes, or when this method closes conn and ends the stream
	err = drainConn(conn, stream)
	if err == nil { // the service has no more to say; the client may
		select {
		case err = <-fed:
		case <-ctx.Done():
		}
	} else {
		select {
		case err = <-fed: // what ended the reading
		default:
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// feedConn hands on what the client sends until that closes, and puts into fed
// how it went: nil when the client wants no more.
func feedConn(conn runtime.Conn, stream connectStream, fed chan<- error) {
	for {
		in, err := stream.Recv()
		if err == nil && len(in.GetData()) > 0 {
			_, err = conn.Write(in.GetData())
		}
		if err == nil && in.GetEof() {
			err = conn.CloseWrite()
		}
		switch {
		case err != nil:
			fed <- fmt.Errorf("write to the service: %w: %w", err, runtime.Unavailable)
			return
		case in.GetClose():
			fed <- nil // first, so that it is known why Read ends
			conn.Close()
			return
		}
	}
}

// drainConn sends what the service says to its end.
func drainConn(conn runtime.Conn, stream connectStream) error {
	buf := make([]byte, connChunk)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			if err := stream.Send(&runtimepb.ConnectResponse{Data: buf[:n]}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return stream.Send(&runtimepb.ConnectResponse{Eof: true})
		case err != nil && runtime.Class(err) == runtime.Internal: // of the network
			return fmt.Errorf("read from the service: %w: %w", err, runtime.Unavailable)
		case err != nil:
			return err
		}
	}
}

func (s *server) Stats(req *runtimepb.StatsRequest, stream grpc.ServerStreamingServer[runtimepb.StatsResponse]) error {
	return s.runtime.Stats(stream.Context(), time.Duration(req.GetInterval()), func(stats []runtime.Stat) error {
		return stream.Send(statsToProto(stats))
	})
}

func (s *server) Lead(ctx context.Context, req *runtimepb.LeadRequest) (*runtimepb.LeadResponse, error) {
	if l, ok := s.runtime.(runtime.Leader); ok {
		return &runtimepb.LeadResponse{}, l.Lead(ctx, req.GetOver())
	}
	return &runtimepb.LeadResponse{}, nil // nobody else could
}

func (s *server) Preview(ctx context.Context, req *runtimepb.PreviewRequest) (*runtimepb.PreviewResponse, error) {
	previews, err := s.runtime.Preview(ctx, previewFromProto(req))
	return previewsToProto(previews), err
}
