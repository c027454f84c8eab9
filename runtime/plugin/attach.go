package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

// attachTimeout is how long Attach waits for an answer when ctx sets no limit,
// and how long a runtime may be silent before Ensure takes it for hung.
const attachTimeout = 3 * time.Second

// Attach connects to the runtime that serves dir, and trusts it only when it
// is the very process that runtime.json speaks of. Errors: NotFound when no
// runtime is there or its process is dead, Unavailable when it does not answer
// until ctx ends (without a limit there: 3 s), Unsupported when it speaks
// another contract.
func Attach(ctx context.Context, dir string) (*Client, error) {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, attachTimeout)
		defer cancel()
	}
	c, err := attach(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("attach to the runtime in %s: %w", dir, err)
	}
	return c, nil
}

func attach(ctx context.Context, dir string) (*Client, error) {
	r, err := readRecord(dir)
	if err != nil {
		return nil, err
	}
	if !r.alive() {
		return nil, fmt.Errorf("its process %d is gone: %w", r.PID, runtime.NotFound)
	}
	c, err := connect(r)
	if err != nil {
		return nil, err
	}
	err = c.verify(ctx, r)
	if err == nil {
		err = c.enter(ctx)
	}
	if err == nil {
		return c, nil
	}
	c.release()
	c.conn.Close()
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("process %d does not answer: %w", r.PID, runtime.Unavailable)
	}
	if runtime.Class(err) == runtime.Unavailable && !r.alive() {
		err = fmt.Errorf("its process %d has just ended: %w", r.PID, runtime.NotFound)
	}
	return nil, err
}

// connect gives go-plugin what it needs to attach, and takes its connection.
// It does not wait for an answer. go-plugin's Kill is never called, nor its
// Close, which kills too.
func connect(r record) (*Client, error) {
	left, leave := context.WithCancel(context.Background())
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          goplugin.PluginSet{pluginName: &carriage{}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithStreamInterceptor(withoutExtras),
			grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connWindow),
		},
		Reattach: &goplugin.ReattachConfig{
			Protocol: goplugin.ProtocolGRPC, ProtocolVersion: int(handshake.ProtocolVersion),
			Addr: &net.UnixAddr{Name: r.Socket, Net: "unix"}, Pid: r.PID,
			ReattachFunc: func() (runner.AttachedRunner, error) { return &attached{left.Done(), r.PID}, nil },
		},
	})
	protocol, err := client.Client()
	if err == nil {
		var rpc any
		if rpc, err = protocol.Dispense(pluginName); err == nil {
			return &Client{
				conn: protocol.(*goplugin.GRPCClient).Conn, rpc: rpc.(runtimepb.RuntimeClient),
				release: leave, done: make(chan struct{}),
			}, nil
		}
	}
	leave()
	return nil, fmt.Errorf("connect to %s: %w", r.Socket, err)
}

// withoutExtras refuses the streams that go-plugin opens on every connection,
// as if the other side did not have them; go-plugin copes with that. We use
// neither its stdio (services have their own) nor its broker, and it would wait
// for the first without a limit, which a hung runtime turns into for ever.
func withoutExtras(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if strings.HasPrefix(method, "/plugin.") {
		return nil, status.Error(codes.Unimplemented, "not used")
	}
	return next(ctx, desc, cc, method, opts...)
}

// attached stands for the process towards go-plugin. Its own would look every
// second whether some process has the pid, also after we have detached, and
// kill that one if asked to.
type attached struct {
	left <-chan struct{} // closed when we have detached
	pid  int
}

func (a *attached) Wait(context.Context) error {
	<-a.left
	return nil
}

func (a *attached) Kill(context.Context) error {
	return errors.New("a runtime is not killed by go-plugin")
}
func (a *attached) ID() string { return strconv.Itoa(a.pid) }

func (a *attached) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

func (a *attached) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

// verify asks who is there.
func (c *Client) verify(ctx context.Context, r record) error {
	d, err := c.Describe(ctx, runtime.ContractVersion)
	if err != nil {
		return err
	}
	if d.Nonce != r.Nonce {
		return fmt.Errorf("another process answers than the one that announced itself: %w", runtime.NotFound)
	}
	if d.Version != runtime.ContractVersion && d.Version != runtime.ContractVersion-1 {
		err := fmt.Errorf("it speaks version %d of the contract, not %d: %w", d.Version, runtime.ContractVersion, runtime.Unsupported)
		return runtime.WithHint(err, "stop the services with the stead that started them, then start them with this one")
	}
	c.description = d
	return nil
}

// enter makes this client one that the runtime counts.
func (c *Client) enter(ctx context.Context) error {
	holdCtx, cancel := context.WithCancel(context.Background()) // for the client's life, not the call's
	leave := c.release
	c.release = func() { cancel(); leave() }
	defer context.AfterFunc(ctx, cancel)() // but opening it is limited by the call
	stream, err := c.rpc.Hold(holdCtx, &runtimepb.HoldRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		return errorFromStatus(ctx, err)
	}
	go c.hold(stream) // ends with the stream: by release, or when the runtime is gone; Close waits
	return nil
}
