package plugin

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

// Client is a runtime in another process. After Close, and when the runtime is
// gone, every call is Unavailable; a Client does not connect again, get a new
// one by Ensure.
type Client struct {
	conn        *grpc.ClientConn
	rpc         runtimepb.RuntimeClient
	description runtime.Description
	release     context.CancelFunc // ends hold
	done        chan struct{}

	// answering is held for reading while the answer to a Shutdown is awaited:
	// hold's stream ends at the same time, and must not take it away.
	answering sync.RWMutex
}

// Description returns what the runtime answered when the client attached.
func (c *Client) Description() runtime.Description { return c.description }

// Done is closed when the connection is gone for good: the runtime ended, or
// Close was called.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close detaches. The runtime and what it runs go on. Calls that still run end
// with an error. It may be called more than once.
func (c *Client) Close() error {
	c.release()
	<-c.done
	return nil
}

// hold keeps the stream open by which both sides know of each other, and
// closes the connection when it ends.
func (c *Client) hold(stream grpc.ServerStreamingClient[runtimepb.HoldResponse]) {
	defer close(c.done)
	defer c.release() // go-plugin waits for it
	for {
		if _, err := stream.Recv(); err != nil {
			c.answering.Lock()
			c.conn.Close() // it would try to connect again, for ever
			c.answering.Unlock()
			return
		}
	}
}

// Describe implements runtime.Runtime.
func (c *Client) Describe(ctx context.Context, version int) (runtime.Description, error) {
	res, err := c.rpc.Describe(ctx, &runtimepb.DescribeRequest{Version: int64(version)})
	return descriptionFromProto(res), errorFromStatus(ctx, err)
}

// Start implements runtime.Runtime.
func (c *Client) Start(ctx context.Context, spec runtime.Spec) (runtime.Handle, error) {
	res, err := c.rpc.Start(ctx, &runtimepb.StartRequest{Spec: specToProto(spec)})
	return handleFromProto(res.GetHandle()), errorFromStatus(ctx, err)
}

// Stop implements runtime.Runtime.
func (c *Client) Stop(ctx context.Context, id runtime.ID, how runtime.StopRequest) error {
	_, err := c.rpc.Stop(ctx, stopToProto(id, how))
	return errorFromStatus(ctx, err)
}

// Route implements runtime.Runtime.
func (c *Client) Route(ctx context.Context, id runtime.ID) error {
	_, err := c.rpc.Route(ctx, &runtimepb.RouteRequest{Id: idToProto(id)})
	return errorFromStatus(ctx, err)
}

// Listen implements runtime.Runtime.
func (c *Client) Listen(ctx context.Context, sockets []runtime.Socket) ([]runtime.SocketStatus, error) {
	res, err := c.rpc.Listen(ctx, listenToProto(sockets))
	return statusesFromProto(res), errorFromStatus(ctx, tooOld(err))
}

// Signal implements runtime.Runtime.
func (c *Client) Signal(ctx context.Context, id runtime.ID, signal string) error {
	_, err := c.rpc.Signal(ctx, &runtimepb.SignalRequest{Id: idToProto(id), Signal: text(signal)})
	return errorFromStatus(ctx, tooOld(err))
}

// Inspect implements runtime.Runtime.
func (c *Client) Inspect(ctx context.Context, ids []runtime.ID) ([]runtime.Inspection, error) {
	res, err := c.rpc.Inspect(ctx, inspectToProto(ids))
	return inspectionsFromProto(res), errorFromStatus(ctx, tooOld(err))
}

// Lead implements runtime.Leader. A runtime that needs no leave gives it.
func (c *Client) Lead(ctx context.Context, over bool) error {
	_, err := c.rpc.Lead(ctx, &runtimepb.LeadRequest{Over: over})
	return errorFromStatus(ctx, tooOld(err))
}

// Preview implements runtime.Runtime.
func (c *Client) Preview(ctx context.Context, req runtime.PreviewRequest) ([]runtime.Preview, error) {
	res, err := c.rpc.Preview(ctx, previewToProto(req))
	return previewsFromProto(res), errorFromStatus(ctx, tooOld(err))
}

// Stats implements runtime.Runtime.
func (c *Client) Stats(ctx context.Context, interval time.Duration, fn func([]runtime.Stat) error) error {
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Stats(streamCtx, &runtimepb.StatsRequest{Interval: int64(interval)})
	if err != nil {
		return errorFromStatus(ctx, err)
	}
	for {
		res, err := stream.Recv()
		if err != nil {
			return endOfWatch(ctx, tooOld(err))
		}
		if err := fn(statsFromProto(res)); err != nil {
			return err
		}
	}
}

// Watch implements runtime.Runtime. When the runtime is gone it returns
// Unavailable.
func (c *Client) Watch(ctx context.Context, fn func(runtime.Event) error) error {
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Watch(streamCtx, &runtimepb.WatchRequest{})
	if err != nil {
		return errorFromStatus(ctx, err)
	}
	for {
		res, err := stream.Recv()
		if err != nil {
			return endOfWatch(ctx, err)
		}
		if err := fn(eventFromProto(res.GetEvent())); err != nil {
			return err
		}
	}
}

// endOfWatch: a Watch, and Stats, never end by themselves, so an orderly end of
// the stream is the runtime's.
func endOfWatch(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) && ctx.Err() == nil {
		return &remoteError{text: "the runtime has ended", class: runtime.Unavailable}
	}
	return errorFromStatus(ctx, err)
}

// Forget implements runtime.Runtime.
func (c *Client) Forget(ctx context.Context, sequence uint64) error {
	_, err := c.rpc.Forget(ctx, &runtimepb.ForgetRequest{Sequence: sequence})
	return errorFromStatus(ctx, err)
}

// Logs implements runtime.Runtime.
func (c *Client) Logs(ctx context.Context, query runtime.LogQuery, fn func(runtime.LogBlock) error) error {
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Logs(streamCtx, queryToProto(query))
	if err != nil {
		return errorFromStatus(ctx, err)
	}
	for {
		res, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errorFromStatus(ctx, err)
		}
		for _, block := range res.GetBlocks() {
			if err := fn(blockFromProto(block)); err != nil {
				return err
			}
		}
	}
}

// Shutdown implements runtime.Runtime. The runtime's process ends right after
// it has answered.
func (c *Client) Shutdown(ctx context.Context) error {
	c.answering.RLock()
	defer c.answering.RUnlock()
	_, err := c.rpc.Shutdown(ctx, &runtimepb.ShutdownRequest{})
	return errorFromStatus(ctx, err)
}
