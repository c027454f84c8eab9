package ipctest

import (
	"time"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Epoch is when everything in Shop began.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Name is a service of the project Shop.
func Name(service string) supervisor.Name {
	return supervisor.Name{Environment: "local", Project: "/src/shop", Service: service}
}

// Shop returns a present with one project, "shop" in /src/shop, whose
// services are ready in generation 1.
func Shop(services ...string) *ipc.Present {
	p := &ipc.Present{
		Sequence: 1,
		State:    supervisor.State{Services: map[supervisor.Name]*supervisor.Service{}, Synced: true},
		Projects: map[string]ipc.Project{
			"/src/shop": {ID: "/src/shop", Name: "shop", Directory: "/src/shop", File: "/src/shop/stead.yaml"},
		},
		Specs: map[supervisor.Name]runtime.Spec{},
	}
	for i, s := range services {
		n := Name(s)
		ready := Ready(n, 1000+i)
		p.State.Services[n] = &ready
		p.Specs[n] = runtime.Spec{
			Command: []string{"./" + s},
			Dir:     "/src/shop",
			Ports:   []runtime.Port{{Name: "http", Number: 9000 + i, Protocol: "http"}},
		}
	}
	return p
}

// Ready is a service whose generation 1 serves.
func Ready(n supervisor.Name, pid int) supervisor.Service {
	return supervisor.Service{
		Name:   n,
		Want:   supervisor.Want{Up: true},
		Plan:   supervisor.Plan{Revision: "r1", Replicas: 1},
		Last:   1,
		Routed: 1,
		Generations: []supervisor.Generation{{
			Number: 1, Plan: supervisor.Plan{Revision: "r1", Replicas: 1},
			Phase: supervisor.PhaseReady, Since: Epoch, Confirmed: true, WasReady: true,
			Instances: []supervisor.Instance{{Attempt: 1, PID: pid, Ready: true, Since: Epoch}},
		}},
	}
}

// With returns a copy of p in which service n is s.
func With(p *ipc.Present, n supervisor.Name, s supervisor.Service) *ipc.Present {
	next := *p
	next.Sequence++
	next.State.Services = make(map[supervisor.Name]*supervisor.Service, len(p.State.Services)+1)
	for k, v := range p.State.Services {
		next.State.Services[k] = v
	}
	next.State.Services[n] = &s
	return &next
}

// Diagnosed returns a copy of p in which just these are service n's.
func Diagnosed(p *ipc.Present, n supervisor.Name, list ...runtime.Diagnostic) *ipc.Present {
	next := *p
	next.Sequence++
	next.Diagnostics = make(map[supervisor.Name][]runtime.Diagnostic, len(p.Diagnostics)+1)
	for k, v := range p.Diagnostics {
		next.Diagnostics[k] = v
	}
	next.Diagnostics[n] = list
	if len(list) == 0 {
		delete(next.Diagnostics, n)
	}
	return &next
}

// Without returns a copy of p that lacks service n.
func Without(p *ipc.Present, n supervisor.Name) *ipc.Present {
	next := With(p, n, supervisor.Service{})
	delete(next.State.Services, n)
	return next
}
