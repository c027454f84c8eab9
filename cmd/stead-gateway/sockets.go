package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/stead-dev/stead/daemon/gateway"
	"github.com/stead-dev/stead/runtime/sockets"
)

// fetched takes listening sockets from the runtime that has bound them, where
// they are known by their address.
type fetched struct{ path string }

var errNotBound = errors.New("the runtime does not listen there")

// Listen implements gateway.Sockets.
func (f fetched) Listen(ctx context.Context, wanted []gateway.Socket) ([]net.Listener, []error) {
	listeners, errs := make([]net.Listener, len(wanted)), make([]error, len(wanted))
	files, err := f.fetch(ctx, wanted)
	for i, socket := range wanted {
		file := files[socket.Address]
		switch {
		case err != nil:
			errs[i] = err
		case file == nil:
			errs[i] = errNotBound
		default:
			listeners[i], errs[i] = net.FileListener(file)
			_ = file.Close() // the listener has a duplicate
		}
	}
	return listeners, errs
}

func (f fetched) fetch(ctx context.Context, wanted []gateway.Socket) (map[string]*os.File, error) {
	conn, err := sockets.Dial(f.path)
	if err != nil {
		return nil, fmt.Errorf("ask the runtime for sockets: %w", err)
	}
	defer conn.Close()
	names := make([]string, len(wanted))
	for i, socket := range wanted {
		names[i] = socket.Address
	}
	return conn.Fetch(ctx, names)
}
