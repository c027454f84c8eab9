package kubernetes

import (
	"context"
	"fmt"
	"time"

	"github.com/stead-dev/stead/runtime"
)

func (r *Runtime) capabilities() []string { return []string{runtime.CapabilityRoute} }

// Logs implements runtime.Runtime.
func (r *Runtime) Logs(context.Context, runtime.LogQuery, func(runtime.LogBlock) error) error {
	return fmt.Errorf("logs: %w", runtime.Unsupported)
}

// Terminal implements runtime.Runtime.
func (r *Runtime) Terminal(context.Context, runtime.TerminalRequest) (runtime.Session, error) {
	return nil, fmt.Errorf("terminal: %w", runtime.Unsupported)
}

// Connect implements runtime.Runtime.
func (r *Runtime) Connect(context.Context, runtime.ConnectRequest) (runtime.Conn, error) {
	return nil, fmt.Errorf("connect: %w", runtime.Unsupported)
}

// Stats implements runtime.Runtime.
func (r *Runtime) Stats(context.Context, time.Duration, func([]runtime.Stat) error) error {
	return fmt.Errorf("stats: %w", runtime.Unsupported)
}

// Preview implements runtime.Runtime.
func (r *Runtime) Preview(context.Context, runtime.PreviewRequest) ([]runtime.Preview, error) {
	return nil, fmt.Errorf("preview: %w", runtime.Unsupported)
}
