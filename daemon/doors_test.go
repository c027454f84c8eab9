package daemon

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/supervisor"
)

// fakeGates are gateways, by generation, that keep what they are told.
type fakeGates struct {
	deaf   chan struct{} // until it is closed nothing comes into effect; nil: at once
	mu     sync.Mutex
	tables map[uint64]map[string]Route
	report map[uint64]func(GatewayReport)
}

// fakeGate is the daemon's half of one of them.
type fakeGate struct {
	gates  *fakeGates
	number uint64
}

func (g fakeGate) Want(c RouteChanges) {
	g.gates.mu.Lock()
	defer g.gates.mu.Unlock()
	table := g.gates.tables[g.number]
	if table == nil {
		table = map[string]Route{}
		g.gates.tables[g.number] = table
	}
	for _, r := range c.Set {
		table[r.ID] = r
	}
	for _, id := range c.Removed {
		delete(table, id)
	}
}

// Await waits until the gateway hears.
func (g fakeGate) Await(ctx context.Context) error {
	if g.gates.deaf == nil {
		return nil
	}
	select {
	case <-g.gates.deaf:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g fakeGate) Routes(context.Context) ([]Route, error) {
	g.gates.mu.Lock()
	defer g.gates.mu.Unlock()
	return slices.Collect(maps.Values(g.gates.tables[g.number])), nil
}

func (g fakeGate) Watch(ctx context.Context, fn func(GatewayReport)) error {
	g.gates.mu.Lock()
	g.gates.report[g.number] = fn
	g.gates.mu.Unlock()
	<-ctx.Done()
	g.gates.mu.Lock()
	defer g.gates.mu.Unlock()
	delete(g.gates.report, g.number)
	return ctx.Err()
}

// says has a gateway report; it waits until somebody listens.
func (g *fakeGates) says(number uint64, r GatewayReport) bool {
	g.mu.Lock()
	fn := g.report[number]
	g.mu.Unlock()
	if fn != nil {
		fn(r)
	}
	return fn != nil
}

func (g *fakeGates) route(number uint64, service string) Route {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tables[number]["shop-1/"+service]
}

// newGatedHome has services whose ports a gateway holds.
func newGatedHome(t *testing.T, services ...Service) (*home, *fakeGates) {
	gates := &fakeGates{tables: map[uint64]map[string]Route{}, report: map[uint64]func(GatewayReport){}}
	h := &home{t: t, store: newMemory(), runtime: fake.New(fake.Options{Capabilities: []string{runtime.CapabilitySockets, runtime.CapabilityReserve}}), boot: "boot 1"}
	gateway := service("gateway")
	gateway.Spec.ID.Project = gatewayName.Project
	gateway.Plan.Reload, gateway.Plan.Revision = supervisor.ReloadOverlap, gateway.Spec.Hash()
	h.gates = &Gateways{
		Project: Project{ID: gatewayName.Project, Services: map[string]Service{"gateway": gateway}},
		Dial:    func(number uint64) Gateway { return fakeGate{gates, number} },
	}
	h.began(services...)
	h.up()
	return h, gates
}

// published has a service behind the gateway.
func published(number int) func(*Service) {
	return func(s *Service) {
		s.Spec.Ports = []runtime.Port{{Name: "http", Protocol: "http"}}
		s.Published = []Published{{Port: "http", Number: number, Protocol: "http", Mode: ModeProxy}}
		s.Plan.Proxied, s.Plan.Reload = true, supervisor.ReloadOverlap
	}
}

// sockets are the addresses that were declared last to be listened on.
func (h *home) sockets() []string {
	var addresses []string
	for _, c := range h.runtime.Calls() {
		if c.Method == "Listen" {
			addresses = nil
			for _, s := range c.Sockets {
				if !s.Reserve {
					addresses = append(addresses, s.Address)
				}
			}
		}
	}
	return addresses
}

func TestTheGatewayFollowsTheState(t *testing.T) {
	h, gates := newGatedHome(t, service("web", published(9001)), service("worker"))
	h.eventually("web is up", readyAt("web", 1))
	h.waits("web is routed", func() bool { return gates.route(1, "web").Traffic.State == supervisor.TrafficServing })
	if want := []string{"127.0.0.1:9001", "[::1]:9001"}; !slices.Equal(h.sockets(), want) {
		t.Errorf("sockets %v, want %v", h.sockets(), want)
	}
	r := gates.route(1, "web")
	if r.Traffic.Generation != 1 || len(r.Endpoints["http"]) != 1 || len(r.Doors) != 1 || r.Doors[0].Port != "http" {
		t.Errorf("route %+v", r)
	}
	if err := h.Restart(t.Context(), h.names("shop-1", []string{"web"})); err != nil {
		t.Fatal(err)
	}
	h.waits("the next generation is routed", func() bool { return gates.route(1, "web").Traffic.Generation == 2 })

	// Nothing is stopped before the gateway says that it has no callers.
	if d := gates.route(1, "web").Traffic.Draining; len(d) != 1 || d[0].Generation != 1 {
		t.Fatalf("draining %+v", d)
	}
	gates.says(1, GatewayReport{Kind: GatewayDrained, Service: "shop-1/web", Number: 1})
	h.eventually("generation 1 is gone", func(p *Present) bool { return len(p.State.Service(serviceName("shop-1", "web")).Generations) == 1 })

	if err := h.Want(t.Context(), h.names("shop-1", []string{"web", "worker"}), false); err != nil {
		t.Fatal(err)
	}
	h.eventually("the gateway goes when nobody needs it", func(p *Present) bool { return quiet(p.State.Service(gatewayName)) })
	h.waits("the port is free", func() bool { return len(h.sockets()) == 0 })
}

// A port that somebody else has is said, and asked for again.
func TestAPortThatIsTaken(t *testing.T) {
	h, _ := newGatedHome(t)
	h.runtime.Refuse("127.0.0.1:9001", runtime.SocketStatus{Error: "127.0.0.1:9001 is already taken by pid 7 (nginx)"})
	h.project.Services["web"] = service("web", published(9001))
	h.up()
	name := serviceName("shop-1", "web")
	p := h.eventually("it is said", func(p *Present) bool { return p.Unreachable[name].Text != "" })
	if c := p.Unreachable[name]; c.Kind != CausePort || c.Text != "127.0.0.1:9001 is already taken by pid 7 (nginx)" {
		t.Errorf("cause %+v", c)
	}
	h.runtime.Refuse("127.0.0.1:9001", runtime.SocketStatus{})
	h.eventually("it heals", func(p *Present) bool { return len(p.Unreachable) == 0 })
}

// An on-demand service sleeps until a gateway says that somebody waits.
func TestACallWakesAService(t *testing.T) {
	h, gates := newGatedHome(t, service("web", published(9001), func(s *Service) {
		s.Plan.OnDemand, s.Plan.Idle = true, 50*time.Millisecond
	}))
	h.waits("it is held", func() bool { return gates.route(1, "web").Traffic.State == supervisor.TrafficHeld })
	if len(h.started()) != 1 { // the gateway
		t.Fatalf("started %v", h.started())
	}
	h.waits("a gateway is heard", func() bool { return gates.says(1, GatewayReport{Kind: GatewayWaiting, Service: "shop-1/web"}) })
	h.eventually("it wakes", readyAt("web", 1))
	gates.says(1, GatewayReport{Kind: GatewayUsed, Service: "shop-1/web", Last: time.Now(), InFlight: 1})
	gates.says(1, GatewayReport{Kind: GatewayUsed, Service: "shop-1/web", Last: time.Now()})
	h.eventually("it sleeps", func(p *Present) bool { return p.State.Service(serviceName("shop-1", "web")).Asleep })
}

// TestALostStateReplacesNoGateway: it was stopped when the runtime told of it
// before it told of the service that needs it.
func TestALostStateReplacesNoGateway(t *testing.T) {
	web := service("web", published(9001), func(s *Service) { s.Plan.Drain = time.Millisecond }) // no gateway says that it is drained
	h, _ := newGatedHome(t, web)
	serves := func(p *Present) bool {
		gateway := p.State.Service(gatewayName)
		return phase("web", supervisor.PhaseReady)(p) && gateway.Phase() == supervisor.PhaseReady && p.State.Synced
	}
	h.eventually("it serves", serves)
	// Now the gateway is told of first.
	if err := h.Restart(context.Background(), []supervisor.Name{serviceName("shop-1", "web")}); err != nil {
		t.Fatal(err)
	}
	second := func(p *Present) bool {
		s := p.State.Service(serviceName("shop-1", "web"))
		return serves(p) && s.Last == 2 && len(s.Generations) == 1
	}
	h.eventually("the second generation", second)
	h.detach()
	h.store = newMemory()
	h.start()
	h.eventually("all is found again", serves)
	h.up()
	h.eventually("it is as before", second)
	if got := h.started(); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"gateway/1", "web/1", "web/2"}) {
		t.Errorf("started %v", got)
	}
	h.detach()
}
