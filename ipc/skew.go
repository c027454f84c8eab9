package ipc

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"connectrpc.com/connect/v2"

	"github.com/stead-dev/stead/runtime"
)

var apiText = strconv.Itoa(API)

// unknownRPC answers a call that this daemon does not know, made by a client
// that is newer or that mistyped it.
func unknownRPC(ctx context.Context, spec connect.Spec, _ connect.ServerStream) error {
	info, _ := connect.CallInfoForServerContext(ctx)
	return unknownCall(spec.Procedure, info.RequestHeader().Get(apiHeader), apiText)
}

// unknownCall is the error for a call that the daemon lacks. The numbers are
// headers, empty when the other side sent none.
func unknownCall(procedure, client, daemon string) error {
	name := procedure[strings.LastIndexByte(procedure, '/')+1:]
	err := fmt.Errorf("the daemon does not know the call %q: %w", name, runtime.Unsupported)
	hint := "the daemon may be older than this client: restart it with the new version (`stead daemon stop`, then any command)"
	c, errC := strconv.Atoi(client)
	d, errD := strconv.Atoi(daemon)
	switch {
	case errD != nil:
		hint = "whatever answers on this socket is not a stead daemon that this client knows"
	case errC == nil && c < d:
		hint = "this client is older than the daemon, which has dropped the call: upgrade the client"
	}
	return runtime.WithHint(err, hint)
}
