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

// Names is Unsupported here.
func (*Conn) Names(context.Context) ([]string, error) { return nil, errPlatform }

// Close does nothing here.
func (*Conn) Close() error { return nil }
