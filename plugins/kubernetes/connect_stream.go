package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	portforwardconst "k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/transport/websocket"
	"k8s.io/streaming/pkg/httpstream"
	streamspdy "k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/stead-dev/stead/runtime"
)

const (
	connPing    = 10 * time.Second // keeps what lies between from taking it for idle
	connVerdict = 2 * time.Second  // for the kubelet to say why a connection ended without a byte
	connLinger  = 2 * time.Second  // for what was written to arrive before Close ends all
)

// forward opens a connection to a port of a pod. The protocol is SPDY's, two
// streams for each connection, inside of a WebSocket (KEP-4006), or bare for
// old servers.
func forward(ctx context.Context, config *rest.Config, at *url.URL, port int32) (runtime.Conn, error) {
	dial, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	carrier, err := dialWebSocket(dial, config, at)
	if httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err) {
		carrier, err = dialSPDY(dial, config, at)
	}
	if err != nil {
		return nil, err
	}
	conn, err := newPodConn(carrier, port)
	if err != nil {
		carrier.Close()
		return nil, err
	}
	conn.forget = context.AfterFunc(ctx, conn.abort)
	return conn, nil
}

func dialWebSocket(ctx context.Context, config *rest.Config, at *url.URL) (httpstream.Connection, error) {
	transport, holder, err := websocket.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil) // RFC 6455, 4.1: GET
	if err != nil {
		return nil, err
	}
	conn, err := websocket.Negotiate(transport, holder, req, portforwardconst.WebsocketsSPDYTunnelingPrefix+portforwardconst.PortForwardV1Name)
	if err != nil {
		return nil, err
	}
	return streamspdy.NewClientConnectionWithPings(portforward.NewTunnelingConnection("stead", conn), connPing)
}

func dialSPDY(ctx context.Context, config *rest.Config, at *url.URL) (httpstream.Connection, error) {
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), nil)
	if err != nil {
		return nil, err
	}
	conn, _, err := spdy.NegotiateStreaming(upgrader, &http.Client{Transport: transport}, req, portforwardconst.PortForwardV1Name)
	return conn, err
}

// podConn is a connection to a pod, alone on its carrier.
type podConn struct {
	carrier httpstream.Connection
	data    httpstream.Stream
	forget  func() bool // the context
	verdict chan error  // what the kubelet says when it is over; closed then
	some    atomic.Bool // a byte was read
	waiting atomic.Bool // something was written, and nothing read since
	ended   atomic.Bool // the other end's last byte was read
	wrote   atomic.Bool // CloseWrite was called
	closing sync.Once
	closed  atomic.Bool
}

func newPodConn(carrier httpstream.Connection, port int32) (*podConn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(int(port)))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	errs, err := carrier.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	if err := errs.Close(); err != nil { // nothing is written to it
		return nil, err
	}
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := carrier.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	c := &podConn{carrier: carrier, data: data, verdict: make(chan error, 1)}
	go c.listen(errs) // ends with the error stream, at the latest when the carrier is closed
	return c, nil
}

// listen waits for what the kubelet says of its end of the connection.
func (c *podConn) listen(errs io.Reader) {
	defer close(c.verdict)
	text, err := io.ReadAll(errs)
	switch {
	case len(text) > 0:
		c.verdict <- fmt.Errorf("the cluster says: %s: %w", text, runtime.Unavailable)
		c.data.Reset() // a Read would wait for ever
	case err != nil:
		c.verdict <- fmt.Errorf("the connection through the cluster was lost: %w: %w", err, runtime.Unavailable)
	}
}

// Read implements runtime.Conn.
func (c *podConn) Read(p []byte) (int, error) {
	n, err := c.data.Read(p)
	if n > 0 {
		c.some.Store(true)
		c.waiting.Store(false)
	}
	switch {
	case err == nil:
		return n, nil
	case c.closed.Load():
		return n, net.ErrClosed
	}
	why := c.reason(err)
	c.ended.Store(true)
	return n, why
}

// reason is why there is no more to read. A service that refuses a connection
// looks like one that closes it, until the kubelet says which it is.
func (c *podConn) reason(err error) error {
	wait := time.Duration(0)
	if !c.some.Load() || !errors.Is(err, io.EOF) {
		wait = connVerdict
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case why := <-c.verdict:
		if why != nil {
			return why
		}
	case <-timer.C:
	}
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("the connection through the cluster was lost: %w: %w", err, runtime.Unavailable)
}

// Write implements runtime.Conn.
func (c *podConn) Write(p []byte) (int, error) {
	if c.wrote.Load() || c.closed.Load() {
		return 0, net.ErrClosed
	}
	c.waiting.Store(true)
	n, err := c.data.Write(p)
	if err != nil {
		err = fmt.Errorf("write to a connection that has ended: %w: %w", err, runtime.Unavailable)
	}
	return n, err
}

// CloseWrite implements runtime.Conn.
func (c *podConn) CloseWrite() error {
	if c.wrote.Swap(true) {
		return nil
	}
	return c.data.Close()
}

// Close implements runtime.Conn. What was written is on its way to the kubelet
// for some time: the end of the connection must not overtake it.
func (c *podConn) Close() error {
	c.closing.Do(func() {
		if c.waiting.Load() && !c.ended.Load() {
			_ = c.CloseWrite()
			timer := time.NewTimer(connLinger)
			defer timer.Stop()
			select {
			case <-c.verdict:
			case <-c.carrier.CloseChan():
			case <-timer.C:
			}
		}
		c.abort()
	})
	return nil
}

func (c *podConn) abort() {
	if c.forget != nil {
		c.forget()
	}
	c.closed.Store(true)
	c.carrier.Close()
}
