package daemon

import (
	"context"
	"errors"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/stead-dev/stead/supervisor"
)

// The runtime and the gateway let go of a port on their own, a moment after
// its service has ended.
const (
	releaseLimit = 2 * time.Second // they hang, or somebody else has the port by now
	releaseAgain = 5 * time.Millisecond
)

// AwaitReleased returns when the published ports of those services that are
// down are free: whoever waits for down may bind them. It waits for no more
// than releaseLimit.
func (d *Daemon) AwaitReleased(ctx context.Context, names []supervisor.Name) {
	ctx, cancel := context.WithTimeout(ctx, releaseLimit)
	defer cancel()
	again := time.NewTicker(releaseAgain)
	defer again.Stop()
	for slices.ContainsFunc(d.Present().addresses(names), held) {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// addresses are those that services which are down were published at.
func (p *Present) addresses(names []supervisor.Name) []string {
	var all []string
	for _, name := range names {
		if s := p.State.Service(name); s.Want.Up || !quiet(s) {
			continue
		}
		for _, published := range p.Projects[name.Project].Services[name.Service].Published {
			all = append(all, published.addresses()...)
		}
	}
	return all
}

// held reports whether somebody listens at an address. Only binding it tells:
// a connection would be a caller to whoever accepts it.
func held(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return errors.Is(err, syscall.EADDRINUSE)
	}
	_ = l.Close()
	return false
}
