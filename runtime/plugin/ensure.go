package plugin

import (
	"context"
	"fmt"

	"github.com/stead-dev/stead/runtime"
)

// Ensure attaches to the runtime of o.Dir, and launches one where there is
// none. One that is there and does not answer for 3 s is killed and replaced;
// what it ran is found and ended by its successor. One of another build is
// taken as it is, as long as it speaks our contract.
func Ensure(ctx context.Context, o LaunchOptions) (*Client, error) {
	short, cancel := context.WithTimeout(ctx, attachTimeout)
	defer cancel()
	c, err := Attach(short, o.Dir)
	if err == nil || ctx.Err() != nil {
		return c, err
	}
	switch runtime.Class(err) {
	case runtime.NotFound:
		return Launch(ctx, o)
	case runtime.Unavailable:
		if o.Log != nil {
			o.Log.Warn("runtime is hung and is replaced", "err", err)
		}
		if err := replace(ctx, o.Dir); err != nil {
			return nil, fmt.Errorf("replace the runtime in %s: %w", o.Dir, err)
		}
		return Launch(ctx, o)
	}
	return nil, err
}

// replace ends the process of runtime.json, and returns when its lock is free.
func replace(ctx context.Context, dir string) error {
	r, err := readRecord(dir)
	if err != nil {
		return nil // it has ended by itself, in order
	}
	if !r.alive() {
		return nil
	}
	if err := kill(r.PID, r.Start); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, launchTimeout)
	defer cancel()
	return awaitLock(ctx, dir)
}
