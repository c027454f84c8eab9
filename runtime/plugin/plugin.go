// Package plugin carries the runtime contract between two processes over
// hashicorp/go-plugin, and is the only place that knows go-plugin.
//
// Serve is the side of the runtime: it owns a directory by a lock, serves a
// runtime.Runtime on a Unix socket in it, and says where in runtime.json.
// Attach, Launch and Ensure are the side of the daemon: they find that runtime
// or start one, make sure that it is the very process the file speaks of, and
// return a Client, which is a runtime.Runtime.
//
// The runtime outlives its clients. A client that goes, whether by Close or by
// kill -9, ends its own streams and nothing else; only the Shutdown call ends
// the runtime. Any number of clients may be attached at once. All methods of a
// Client may be called concurrently; Serve is called once per process.
//
// Security is the mode of the directory, 0700: go-plugin cannot attach again
// to a server with mutual TLS.
package plugin

import (
	"context"
	"errors"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

// handshake is go-plugin's check that a program was started as a plugin. Serve
// sets the cookie itself: whoever calls it has decided.
var handshake = goplugin.HandshakeConfig{
	ProtocolVersion:  1, // of the carriage; runtime.ContractVersion is negotiated by Describe
	MagicCookieKey:   "STEAD_RUNTIME",
	MagicCookieValue: "serve",
}

// pluginName is the one name in go-plugin's set of plugins.
const pluginName = "runtime"

// maxMessage limits one message to the runtime; grpc's 4 MiB would refuse a
// Spec with a large environment. Clients have no limit (go-plugin's choice).
const maxMessage = 64 << 20

// streamWindow and connWindow are what may be under way unread, in bytes: of a
// stream, and of all. Given, gRPC does not measure the line with a ping for
// each piece of data, which between processes of one machine costs more than it
// tells.
const (
	streamWindow = 1 << 20
	connWindow   = 4 << 20
)

// carriage hands our grpc service to go-plugin's server and client.
type carriage struct {
	goplugin.NetRPCUnsupportedPlugin
	server *server // nil on the client's side
}

func (c *carriage) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	if c.server == nil {
		return errors.New("a client cannot serve")
	}
	runtimepb.RegisterRuntimeServer(s, c.server)
	return nil
}

func (c *carriage) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return runtimepb.NewRuntimeClient(conn), nil
}

var _ runtime.Runtime = (*Client)(nil)
