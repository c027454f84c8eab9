package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/stead-dev/stead/daemon/gateway"
	"github.com/stead-dev/stead/runtime"
)

// openSockets returns where listening sockets come from.
func openSockets(path string) (gateway.Sockets, error) {
	if path != "" {
		return nil, fmt.Errorf("take sockets from %s: %w", path, runtime.Unsupported)
	}
	return inherited(), nil
}

// given are the sockets that this process was started with (LISTEN_FDS,
// LISTEN_FDNAMES, sd_listen_fds(3)).
type given map[gateway.Socket]*os.File

func inherited() given {
	g := given{}
	for _, f := range activation.Files(true) {
		l, err := net.FileListener(f)
		if err != nil {
			continue // no listening socket: not for us
		}
		g[gateway.Socket{Name: f.Name(), Address: l.Addr().String()}] = f
		_ = l.Close() // f stays, for as often as it is asked for
	}
	return g
}

var errNotGiven = errors.New("it is not among the sockets that the gateway was started with")

// Listen returns listeners on duplicates.
func (g given) Listen(_ context.Context, wanted []gateway.Socket) ([]net.Listener, []error) {
	listeners, errs := make([]net.Listener, len(wanted)), make([]error, len(wanted))
	for i, socket := range wanted {
		if f := g[socket]; f != nil {
			listeners[i], errs[i] = net.FileListener(f)
		} else {
			errs[i] = errNotGiven
		}
	}
	return listeners, errs
}
