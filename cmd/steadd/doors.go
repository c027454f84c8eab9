package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/daemon/gateway"
	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// gatewayGrace is how long a gateway that is replaced, or needed no more, may
// finish what is in flight; it takes part of it to say so to its clients.
const gatewayGrace = 10 * time.Second

// ownProject is what stead runs for itself. No manifest can have this ID.
const ownProject = "stead"

// gateways is the gateway as a service of stead's own: a generation of the
// process runtime like any other, replaced by overlap when its binary is
// another one.
func gateways(home ipc.Home, log *slog.Logger) (*daemon.Gateways, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own executable: %w", err)
	}
	const project, service = ownProject, "gateway"
	spec := runtime.Spec{
		ID: runtime.ID{Environment: daemon.Local, Project: project, Service: service},
		Command: []string{
			filepath.Join(filepath.Dir(self), "stead-gateway"), "--control-dir", home.Run,
			"--state", filepath.Join(home.State, "gateway"), "--sockets", filepath.Join(home.Run, "sockets.sock"),
		},
		Dir: home.State, Replicas: 1, Snapshot: true,
		Environment:  map[string]string{"STEAD_GATEWAY_VERSION": version}, // another one is another generation
		Ready:        &runtime.Probe{Kind: runtime.ProbeNotify},
		ReadyTimeout: 30 * time.Second,
		Restart:      runtime.Restart{Policy: runtime.RestartAlways, Min: 10 * time.Millisecond, Max: 5 * time.Second},
		Stop:         runtime.Stop{Signal: "TERM", Grace: gatewayGrace + time.Second},
	}
	plan := supervisor.Plan{Revision: spec.Hash(), Reload: supervisor.ReloadOverlap, Replicas: 1, First: true}
	return &daemon.Gateways{
		Project: daemon.Project{
			ID: project, Name: project, Shown: project, Directory: home.State, Environment: runtimeEnvironment(home),
			Services: map[string]daemon.Service{service: {Name: service, Plan: plan, Spec: spec}},
		},
		Dial: func(generation uint64) daemon.Gateway {
			return door{gateway.NewClient(gateway.ControlPath(home.Run, generation), log)}
		},
	}, nil
}

// door is a gateway's client in the daemon's words.
type door struct{ *gateway.Client }

func (d door) Want(c daemon.RouteChanges) {
	change := gateway.Change{Remove: c.Removed}
	for _, r := range c.Set {
		change.Set = append(change.Set, entry(r))
	}
	if err := d.Client.Want(change); err != nil {
		panic("steadd: a route that no gateway takes: " + err.Error()) // cannot happen: endpoints come from the runtime
	}
}

func (d door) Routes(ctx context.Context) ([]daemon.Route, error) {
	table, err := d.Table(ctx)
	routes := make([]daemon.Route, len(table))
	for i, s := range table {
		routes[i].ID = s.ID
		for _, l := range s.Listeners {
			routes[i].Doors = append(routes[i].Doors, daemon.Door{
				Name: l.Name, Addresses: l.Addresses, Port: l.Port, Protocol: string(l.Protocol),
			})
		}
	}
	return routes, err
}

func (d door) Watch(ctx context.Context, fn func(daemon.GatewayReport)) error {
	return d.Client.Watch(ctx, func(r gateway.Report) {
		switch {
		case r.Kind == gateway.Drained:
			fn(daemon.GatewayReport{Kind: daemon.GatewayDrained, Service: r.Service, Number: r.Generation})
		case r.Kind == gateway.Waiting && !r.Over:
			fn(daemon.GatewayReport{Kind: daemon.GatewayWaiting, Service: r.Service})
		case r.Kind == gateway.Used:
			fn(daemon.GatewayReport{Kind: daemon.GatewayUsed, Service: r.Service, Last: r.At, InFlight: int(r.InFlight)})
		}
	})
}

var trafficStates = map[supervisor.TrafficState]gateway.State{
	supervisor.TrafficServing: gateway.Serving,
	supervisor.TrafficHeld:    gateway.Held,
	supervisor.TrafficDown:    gateway.Down,
}

func entry(r daemon.Route) gateway.Service {
	s := gateway.Service{
		ID: r.ID, State: trafficStates[r.Traffic.State], Reason: r.Reason, Generation: r.Traffic.Generation,
		Endpoints: r.Endpoints, Use: r.Use,
	}
	for _, d := range r.Doors {
		s.Listeners = append(s.Listeners, gateway.Listener{
			Name: d.Name, Addresses: d.Addresses, Port: d.Port, Protocol: gateway.Protocol(d.Protocol),
		})
	}
	for _, old := range r.Traffic.Draining {
		s.Draining = append(s.Draining, gateway.Draining(old))
	}
	return s
}
