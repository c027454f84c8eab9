package kubernetes

import (
	"context"
	"fmt"

	"github.com/stead-dev/stead/runtime"
)

// Preview implements runtime.Runtime.
func (r *Runtime) Preview(context.Context, runtime.PreviewRequest) ([]runtime.Preview, error) {
	return nil, fmt.Errorf("preview: %w", runtime.Unsupported)
}
