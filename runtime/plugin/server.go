package plugin

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

// server answers the rpcs from a runtime.Runtime. Errors become statuses in
// unary and stream, the interceptors.
type server struct {
	runtimepb.UnimplementedRuntimeServer

	runtime runtime.Runtime
	nonce   string
	build   string
	holds   *attendance

	inherited atomic.Pointer[[]string] // the environment of the newest Start, see share

	grpc      *grpc.Server  // set when go-plugin asks for it
	stopping  chan struct{} // closed: every stream ends, so that a graceful stop comes to an end
	down      chan struct{} // closed when a Shutdown succeeded
	downOnce  sync.Once
	heard     chan struct{} // closed by the first call that is served
	heardOnce sync.Once
}

func newServer(rt runtime.Runtime, nonce, build string, holds *attendance) *server {
	return &server{
		runtime: rt, nonce: nonce, build: build, holds: holds,
		stopping: make(chan struct{}), down: make(chan struct{}), heard: make(chan struct{}),
	}
}

// grpcServer is what go-plugin is to serve with.
func (s *server) grpcServer(opts []grpc.ServerOption) *grpc.Server {
	s.grpc = grpc.NewServer(append(opts,
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.InitialWindowSize(streamWindow), grpc.InitialConnWindowSize(connWindow),
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream))...)
	return s.grpc
}

func (s *server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	s.heardOnce.Do(func() { close(s.heard) })
	if strings.HasSuffix(info.FullMethod, "GRPCController/Shutdown") {
		// go-plugin's Client.Kill: it would drop every service on the floor
		return nil, status.Error(codes.PermissionDenied, "this runtime is ended by Runtime/Shutdown only")
	}
	res, err := next(ctx, req)
	if _, ours := info.Server.(*server); ours {
		err = errorToStatus(err)
	}
	return res, err
}

func (s *server) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	go func() { // ends with this call
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := next(srv, &endedStream{stream, ctx})
	if _, ours := srv.(*server); ours {
		err = errorToStatus(err)
	}
	return err
}

// endedStream is a stream whose context also ends with the server.
type endedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *endedStream) Context() context.Context { return s.ctx }

func (s *server) Describe(ctx context.Context, req *runtimepb.DescribeRequest) (*runtimepb.DescribeResponse, error) {
	d, err := s.runtime.Describe(ctx, int(req.GetVersion()))
	if err != nil {
		return nil, err
	}
	// what runtime.json says is what is answered: clients compare the two
	d.Nonce, d.Build = s.nonce, s.build
	return descriptionToProto(d), nil
}

func (s *server) Hold(_ *runtimepb.HoldRequest, stream grpc.ServerStreamingServer[runtimepb.HoldResponse]) error {
	s.holds.enter()
	defer s.holds.leave()
	if err := stream.Send(&runtimepb.HoldResponse{}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (s *server) Start(ctx context.Context, req *runtimepb.StartRequest) (*runtimepb.StartResponse, error) {
	spec := specFromProto(req.GetSpec())
	spec.Inherited = s.share(spec.Inherited)
	handle, err := s.runtime.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &runtimepb.StartResponse{Handle: handleToProto(handle)}, nil
}

// share returns an equal environment that was received before, if there is
// one: all services of a project inherit the same, of some kilobytes, and a
// thousand copies would be most of what a runtime needs.
func (s *server) share(environment []string) []string {
	if before := s.inherited.Load(); before != nil && slices.Equal(*before, environment) {
		return *before
	}
	s.inherited.Store(&environment)
	return environment
}

func (s *server) Stop(ctx context.Context, req *runtimepb.StopRequest) (*runtimepb.StopResponse, error) {
	id, how := stopFromProto(req)
	return &runtimepb.StopResponse{}, s.runtime.Stop(ctx, id, how)
}

func (s *server) Route(ctx context.Context, req *runtimepb.RouteRequest) (*runtimepb.RouteResponse, error) {
	return &runtimepb.RouteResponse{}, s.runtime.Route(ctx, idFromProto(req.GetId()))
}

func (s *server) Listen(ctx context.Context, req *runtimepb.ListenRequest) (*runtimepb.ListenResponse, error) {
	statuses, err := s.runtime.Listen(ctx, listenFromProto(req))
	return statusesToProto(statuses), err
}

func (s *server) Signal(ctx context.Context, req *runtimepb.SignalRequest) (*runtimepb.SignalResponse, error) {
	return &runtimepb.SignalResponse{}, s.runtime.Signal(ctx, idFromProto(req.GetId()), req.GetSignal())
}

func (s *server) Inspect(ctx context.Context, req *runtimepb.InspectRequest) (*runtimepb.InspectResponse, error) {
	seen, err := s.runtime.Inspect(ctx, inspectFromProto(req))
	return inspectionsToProto(seen), err
}

func (s *server) Watch(_ *runtimepb.WatchRequest, stream grpc.ServerStreamingServer[runtimepb.WatchResponse]) error {
	return s.runtime.Watch(stream.Context(), func(e runtime.Event) error {
		return stream.Send(&runtimepb.WatchResponse{Event: eventToProto(e)})
	})
}

func (s *server) Forget(ctx context.Context, req *runtimepb.ForgetRequest) (*runtimepb.ForgetResponse, error) {
	return &runtimepb.ForgetResponse{}, s.runtime.Forget(ctx, req.GetSequence())
}

func (s *server) Logs(req *runtimepb.LogsRequest, stream grpc.ServerStreamingServer[runtimepb.LogsResponse]) error {
	batch := &logBatch{send: stream.Send}
	err := s.runtime.Logs(stream.Context(), queryFromProto(req), batch.add)
	if rest := batch.close(); err == nil {
		err = rest
	}
	return err
}

func (s *server) Shutdown(ctx context.Context, _ *runtimepb.ShutdownRequest) (*runtimepb.ShutdownResponse, error) {
	// Once asked for it is carried through, also when the caller is killed.
	if err := s.runtime.Shutdown(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	s.downOnce.Do(func() { close(s.down) })
	return &runtimepb.ShutdownResponse{}, nil
}
