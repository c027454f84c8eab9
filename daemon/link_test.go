package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// TestATargetThatIsWrongIsTriedForWhoAsks: a runtime that ends since what it was
// told is Invalid is not started over and over; who asks has it tried at once.
func TestATargetThatIsWrongIsTriedForWhoAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		d := New(Options{
			Store: newMemory(), Limit: 4, Boot: "boot 1", Log: slog.New(slog.DiscardHandler),
			Connect: func(context.Context) (Link, error) {
				tries.Add(1)
				return nil, fmt.Errorf("context \"prod\" does not exist: %w", runtime.Invalid)
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }() // ends with ctx
		time.Sleep(reconnectMistaken - time.Second)
		if n := tries.Load(); n != 1 {
			t.Errorf("tried %d times, and nobody has asked", n)
		}
		if _, err := d.runtime(ctx); runtime.Class(err) != runtime.Unavailable {
			t.Errorf("asked for: %v", err)
		}
		if n := tries.Load(); n < 2 {
			t.Error("not tried for who asks")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
