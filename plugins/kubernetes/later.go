package kubernetes

import (
	"context"
	"fmt"

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
