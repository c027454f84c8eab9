package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/daemon/forward"
	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// openForwards holds the ports of this machine behind which services of the
// place are reached, those of the daemon before first.
func (p *place) openForwards(d *daemon.Daemon) error {
	dial := func(ctx context.Context, to forward.Port) (runtime.Conn, error) {
		name := supervisor.Name{Environment: p.name, Project: to.Project, Service: to.Service}
		return d.Connect(ctx, name, to.Port)
	}
	var err error
	p.forwards, err = forward.Open(filepath.Join(p.home.State, "forwards.json"), dial, p.log)
	return err
}

// Forward implements ipc.Forwarder.
func (b backend) Forward(_ context.Context, names []supervisor.Name) ([]ipc.Forwarded, error) {
	if b.where == nil {
		return nil, fmt.Errorf("services at home are on this machine already: %w", runtime.Unsupported)
	}
	projects := b.d.Present().Projects
	var out []ipc.Forwarded
	var ports []forward.Port
	for _, n := range names {
		service := projects[n.Project].Services[n.Service]
		if len(service.Spec.Ports) == 0 {
			out = append(out, ipc.Forwarded{Service: n.Service})
		}
		for _, p := range service.Spec.Ports {
			ports = append(ports, forward.Port{Project: n.Project, Service: n.Service, Port: p.Name})
		}
	}
	addresses, err := b.where.forwards.Want(ports)
	for i, at := range addresses {
		out = append(out, ipc.Forwarded{Service: ports[i].Service, Port: ports[i].Port, Address: at})
	}
	return out, err
}

// remote is where services somewhere else are reached: by service, and then by
// the name of the port.
func remote(all []ipc.Forwarded) map[string]map[string]string {
	var out map[string]map[string]string
	for _, one := range all {
		if out == nil {
			out = map[string]map[string]string{}
		}
		if out[one.Service] == nil {
			out[one.Service] = map[string]string{}
		}
		if one.Port != "" {
			out[one.Service][one.Port] = one.Address
		}
	}
	return out
}
