package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

const (
	// connChunk bounds the bytes of one message: gRPC's flow control, by which a
	// slow reader slows the other end, has a window of 64 KiB at first.
	connChunk = 32 << 10

	// connLinger is how long Close waits for what was written to reach a
	// service that does not read.
	connLinger = 5 * time.Second
)

// Connect implements runtime.Runtime.
func (c *Client) Connect(ctx context.Context, req runtime.ConnectRequest) (runtime.Conn, error) {
	streamCtx, cancel := context.WithCancel(ctx)
	stream, err := c.openConn(streamCtx, req)
	if err != nil {
		err = errorFromStatus(ctx, tooOld(err))
		cancel()
		return nil, err
	}
	conn := &conn{cancel: cancel, explain: func(err error) error { return errorFromStatus(ctx, err) }}
	conn.out.stream, conn.in.stream = stream, stream
	return conn, nil
}

type connStream = grpc.BidiStreamingClient[runtimepb.ConnectRequest, runtimepb.ConnectResponse]

func (c *Client) openConn(ctx context.Context, req runtime.ConnectRequest) (connStream, error) {
	stream, err := c.rpc.Connect(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&runtimepb.ConnectRequest{Open: connectToProto(req)})
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the reason comes by Recv
		return nil, err
	}
	if _, err := stream.Recv(); err != nil {
		return nil, err
	}
	return stream, nil
}

// conn is a Connect stream. Its halves are locked apart, since gRPC allows one
// sender and one receiver at a time.
type conn struct {
	cancel  context.CancelFunc
	explain func(error) error // by the caller's context: the stream's own is over as soon as the stream is
	closed  atomic.Bool
	out     connOut
	in      connIn
}

type connOut struct {
	mu     sync.Mutex
	stream connStream
	ended  bool // eof or close was sent
}

type connIn struct {
	mu     sync.Mutex
	stream connStream
	rest   []byte // received, not read yet
	err    error  // io.EOF after the service's last byte, or why there is no more
}

// Read implements runtime.Conn.
func (c *conn) Read(p []byte) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	for len(c.in.rest) == 0 && c.in.err == nil {
		c.receive()
	}
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	if len(c.in.rest) == 0 {
		return 0, c.in.err
	}
	n := copy(p, c.in.rest)
	c.in.rest = c.in.rest[n:]
	return n, nil
}

// receive takes the next message; in.mu is held.
func (c *conn) receive() {
	res, err := c.in.stream.Recv()
	switch {
	case errors.Is(err, io.EOF):
		c.in.err = io.EOF
	case err != nil:
		c.in.err = c.explain(err)
	default:
		c.in.rest = res.GetData()
		if res.GetEof() {
			c.in.err = io.EOF
		}
	}
}

// Write implements runtime.Conn.
func (c *conn) Write(p []byte) (int, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	for n := 0; n < len(p); {
		chunk := p[n:min(len(p), n+connChunk)]
		if c.out.ended {
			return n, net.ErrClosed
		}
		if err := c.send(&runtimepb.ConnectRequest{Data: chunk}); err != nil {
			return n, err
		}
		n += len(chunk)
	}
	return len(p), nil
}

// send is called with out.mu held.
func (c *conn) send(m *runtimepb.ConnectRequest) error {
	err := c.out.stream.Send(m)
	if errors.Is(err, io.EOF) { // the stream has ended; Read knows why
		err = fmt.Errorf("write to a connection that has ended: %w", runtime.Unavailable)
	}
	return c.explain(err)
}

// CloseWrite implements runtime.Conn.
func (c *conn) CloseWrite() error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.out.ended {
		return nil
	}
	c.out.ended = true
	return c.send(&runtimepb.ConnectRequest{Eof: true})
}

// Close implements runtime.Conn. What was written has then reached the
// service, but for one that does not read for connLinger. A Read or Write that
// waits comes back: the runtime ends the stream in answer.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	linger := time.AfterFunc(connLinger, c.cancel)
	defer linger.Stop()
	defer c.cancel()
	c.out.mu.Lock()
	c.out.ended = true
	_ = c.send(&runtimepb.ConnectRequest{Close: true})
	c.out.mu.Unlock()
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	for {
		if _, err := c.in.stream.Recv(); err != nil { // also when a Read has seen the end before
			return nil
		}
	}
}
