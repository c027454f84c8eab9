package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

// endless is a connection to a service that sends without end, and reads
// nothing until it is closed.
type endless struct {
	read   atomic.Int64
	most   atomic.Int64 // bytes of one Write
	closed chan struct{}
	once   sync.Once
	fail   error // of Read
}

func (e *endless) Read(p []byte) (int, error) {
	select {
	case <-e.closed:
		return 0, net.ErrClosed
	default:
	}
	if e.fail != nil {
		return 0, e.fail
	}
	e.read.Add(int64(len(p)))
	return len(p), nil
}

func (e *endless) Write(p []byte) (int, error) {
	e.most.Store(max(e.most.Load(), int64(len(p))))
	<-e.closed
	return 0, net.ErrClosed
}

func (e *endless) CloseWrite() error { return nil }
func (e *endless) Close() error {
	e.once.Do(func() { close(e.closed) })
	return nil
}

type connects struct {
	runtime.Runtime
	conn runtime.Conn
}

func (c connects) Connect(context.Context, runtime.ConnectRequest) (runtime.Conn, error) {
	return c.conn, nil
}

// carried returns a client of rt, both in this process.
func carried(t *testing.T, rt runtime.Runtime) *Client {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(rt, "n", "b", newAttendance(0))
	g := server.grpcServer(nil)
	runtimepb.RegisterRuntimeServer(g, server)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }() // ends with Stop
	t.Cleanup(func() { g.Stop(); <-served })
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &Client{rpc: runtimepb.NewRuntimeClient(conn)}
}

// still waits until n does not change any more, and returns it.
func still(n func() int64) int64 {
	for last, same := int64(-1), 0; ; <-time.After(20 * time.Millisecond) {
		now := n()
		if same++; now != last {
			same = 0
		}
		if last = now; same == 10 {
			return now
		}
	}
}

func TestASlowReaderMakesTheServiceWait(t *testing.T) {
	e := &endless{closed: make(chan struct{})}
	conn, err := carried(t, connects{conn: e}).Connect(t.Context(), runtime.ConnectRequest{})
	if err != nil {
		t.Fatal(err)
	}
	before := still(e.read.Load)
	if before > 32<<20 {
		t.Errorf("%d bytes are held for one who does not read", before)
	}
	if _, err := io.ReadFull(conn, make([]byte, before)); err != nil {
		t.Fatal(err)
	}
	if after := still(e.read.Load); after <= before {
		t.Error("it does not go on when there is somebody who reads")
	}
	conn.Close()
	<-e.closed
}

func TestASlowServiceMakesTheWriterWait(t *testing.T) {
	e := &endless{closed: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := carried(t, connects{conn: e}).Connect(ctx, runtime.ConnectRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var written atomic.Int64
	done := make(chan error, 1)
	go func() { // ends when the context does
		for {
			n, err := conn.Write(make([]byte, 100<<10))
			if written.Add(int64(n)); err != nil {
				done <- err
				return
			}
		}
	}()
	if n := still(written.Load); n > 32<<20 {
		t.Errorf("%d bytes are held for a service that does not read", n)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the writer ends with %v", err)
	}
	if most := e.most.Load(); most > connChunk {
		t.Errorf("%d bytes came at once", most)
	}
	conn.Close()
	<-e.closed
}

func TestAnErrorOfTheConnectionTravels(t *testing.T) {
	for _, fail := range []error{
		runtime.WithHint(fmt.Errorf("the pod was deleted: %w", runtime.Unavailable), "wait"),
		errors.New("connection reset"),
	} {
		e := &endless{closed: make(chan struct{}), fail: fail}
		conn, err := carried(t, connects{conn: e}).Connect(t.Context(), runtime.ConnectRequest{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Read(make([]byte, 1))
		if runtime.Class(err) != runtime.Unavailable || runtime.Hint(err) != runtime.Hint(fail) {
			t.Errorf("%v came as %v with hint %q", fail, err, runtime.Hint(err))
		}
		conn.Close()
		if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
		<-e.closed
	}
}
