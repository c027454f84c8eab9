package process

import (
	"context"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/logs"
)

// LogsIn returns the Logs that keeps output in a store on disk.
func LogsIn(store *logs.Store) Logs { return stored{store} }

type stored struct{ store *logs.Store }

func (s stored) Writer(environment, project, service string) Writer {
	return s.store.Writer(environment, project, service)
}

func (s stored) Read(ctx context.Context, query runtime.LogQuery, fn func(runtime.LogBlock) error) error {
	return s.store.Read(ctx, query, fn)
}
