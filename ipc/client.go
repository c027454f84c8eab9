package ipc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// Client calls a daemon. Its errors are as FromError says, those of streams
// too; a stream's clean end is io.EOF.
//
// It may be used concurrently. It dials when it is first called, so making
// one costs nothing and cannot fail.
type Client struct {
	steadpb.DaemonClient
	transports *transports
}

// NewClient returns a client of the daemon that listens on socket.
func NewClient(socket string) *Client {
	t := newTransports(socket)
	return &Client{
		DaemonClient: steadpb.NewDaemonClient(connect.NewClient(t, callDaemon)),
		transports:   t,
	}
}

// Close closes connections that are not in use. The client can be used again.
func (c *Client) Close() { c.transports.close() }

// WaitReady waits until the daemon answers, and returns its answer. It ends
// with ctx, or at once when what fails is not for want of a daemon.
func (c *Client) WaitReady(ctx context.Context) (*steadpb.VersionResponse, error) {
	const shortest, longest = 2 * time.Millisecond, 50 * time.Millisecond
	pause := time.NewTimer(0)
	defer pause.Stop()
	for wait := shortest; ; wait = min(2*wait, longest) {
		v, err := c.Version(ctx, &steadpb.VersionRequest{})
		if err == nil || ctx.Err() == nil && !errors.Is(err, runtime.Unavailable) {
			return v, err
		}
		pause.Reset(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the daemon: %w (last: %w)", context.Cause(ctx), err)
		}
	}
}

// transports are the ways to the daemon: HTTP/1.1, which is quicker to set up,
// and HTTP/2 for the calls where both sides send at once.
type transports struct {
	socket   string
	one, two *http.Transport
	turns    connect.Transport // over one
	duplex   connect.Transport // over two
}

func newTransports(socket string) *transports {
	t := &transports{socket: socket}
	t.one = t.carrier((*http.Protocols).SetHTTP1)
	t.two = t.carrier((*http.Protocols).SetUnencryptedHTTP2)
	t.turns, t.duplex = overHTTP(t.one), overHTTP(t.two)
	return t
}

// NewClientStream implements connect.Transport.
func (t *transports) NewClientStream(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
	if spec.StreamType&connect.StreamTypeClient != 0 {
		return t.duplex.NewClientStream(ctx, spec)
	}
	return t.turns.NewClientStream(ctx, spec)
}

func (t *transports) close() {
	t.one.CloseIdleConnections()
	t.two.CloseIdleConnections()
}

func (t *transports) carrier(speak func(*http.Protocols, bool)) *http.Transport {
	protocols := new(http.Protocols)
	speak(protocols, true)
	return &http.Transport{
		Protocols:          protocols,
		DisableCompression: true, // it is the same machine
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "unix", t.socket)
			if err != nil {
				return nil, &dialError{t.socket, err}
			}
			return conn, nil
		},
	}
}

func overHTTP(h *http.Transport) connect.Transport {
	return connecthttp.NewTransport(roundTripper{h}, "http://stead",
		connecthttp.WithCompressors(), connecthttp.WithReadMaxBytes(maxMessage))
}

// roundTripper leaves out what http.Client adds: redirects, cookies and
// another layer of error text.
type roundTripper struct{ *http.Transport }

func (r roundTripper) Do(req *http.Request) (*http.Response, error) { return r.RoundTrip(req) }

// dialError says that nobody could be reached at all.
type dialError struct {
	socket string
	err    error
}

func (e *dialError) Error() string { return fmt.Sprintf("connect to %s: %v", e.socket, e.err) }
func (e *dialError) Unwrap() error { return e.err }

// explain turns it into an error of the contract.
func (e *dialError) explain() error {
	switch {
	case errors.Is(e.err, context.Canceled), errors.Is(e.err, context.DeadlineExceeded):
		return e.err
	case errors.Is(e.err, fs.ErrPermission):
		return runtime.WithHint(&callError{e.Error(), []error{runtime.Invalid, e}},
			"the socket belongs to another user: run this as the user whose daemon it is")
	case errors.Is(e.err, fs.ErrNotExist), errors.Is(e.err, syscall.ECONNREFUSED):
		return runtime.WithHint(&callError{"no daemon is running", []error{runtime.Unavailable, e}},
			"start it with `stead up`, or in the foreground with `stead daemon run`")
	}
	return &callError{e.Error(), []error{runtime.Unavailable, e}}
}
