package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/runtime"
)

// standByEvery is how often it is tried to bring everything up: who drives is
// told by the runtime, but not that the cluster, or the manifest, is mended.
const standByEvery = 2 * time.Second

// standBy brings the manifest's services up whenever this daemon does not drive
// and nobody else does: of several daemons in a cluster one acts, and another
// takes its place. A user's `down` holds: it is done by the one that drives.
func (p *place) standBy(ctx context.Context, d *daemon.Daemon) {
	said := ""
	again := time.NewTicker(standByEvery)
	defer again.Stop()
	for leads := false; ; {
		if !leads {
			_, err := d.Up(ctx, daemon.UpRequest{File: p.file, Keep: true, Environment: os.Environ()})
			switch {
			case err == nil:
				leads, said = true, ""
				p.log.Info("this daemon drives", "environment", p.name)
			case ctx.Err() == nil && err.Error() != said:
				said = err.Error()
				p.log.Info("this daemon stands by", "environment", p.name, "why", err, "driven", errors.Is(err, runtime.Conflict))
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		leads = leads && !d.Present().State.Observing
	}
}
