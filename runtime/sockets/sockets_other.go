//go:build !linux && !darwin

package sockets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/stead-dev/stead/runtime"
)

// Who is at the other end of a Unix socket is asked differently everywhere,
// and has been written for Linux and macOS alone.
var errPlatform = fmt.Errorf("%w: %w", errors.New("sockets cannot be passed on this platform"), runtime.Unsupported)

// Source gives out a duplicate of the socket with that name.
type Source func(name string) (fd int, ok bool)

// Server exists on Linux and macOS alone.
type Server struct{}

// Serve is Unsupported here.
func Serve(string, Source, *slog.Logger) (*Server, error) { return nil, errPlatform }

// Close does nothing here.
func (*Server) Close() {}

// Conn exists on Linux and macOS alone.
type Conn struct{}

// Dial is Unsupported here.
func Dial(string) (*Conn, error) { return nil, errPlatform }

// Fetch is Unsupported here.
func (*Conn) Fetch(context.Context, []string) (map[string]*os.File, error) { return nil, errPlatform }

// Close does nothing here.
func (*Conn) Close() error { return nil }
