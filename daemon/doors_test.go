package daemon

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/supervisor"
)

// taken is a runtime at which every port is taken for some time.
type taken struct {
	fakeLink
	until time.Time

	mu    sync.Mutex
	asked []time.Duration // until then
}

func (k *taken) Listen(_ context.Context, sockets []runtime.Socket) ([]runtime.SocketStatus, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	statuses := make([]runtime.SocketStatus, len(sockets))
	for i, s := range sockets {
		statuses[i].Socket = s
		if time.Now().Before(k.until) {
			statuses[i].Error = "held by nginx"
		}
	}
	if len(sockets) > 0 {
		k.asked = append(k.asked, time.Until(k.until))
	}
	return statuses, nil
}

// silent is a gateway that is told and says nothing.
type silent struct{}

func (silent) Want(RouteChanges)                       {}
func (silent) Routes(context.Context) ([]Route, error) { return nil, nil }
func (silent) Watch(ctx context.Context, _ func(GatewayReport)) error {
	<-ctx.Done()
	return ctx.Err()
}

// gatewaysOf is a gateway as a service of stead's own.
func gatewaysOf() *Gateways {
	gateway := service("gateway")
	gateway.Spec.ID.Project = "stead"
	return &Gateways{
		Project: Project{ID: "stead", Name: "stead", Services: map[string]Service{"gateway": gateway}},
		Dial:    func(uint64) Gateway { return silent{} },
	}
}

func published(port int) func(*Service) {
	return func(s *Service) {
		s.Plan.Proxied, s.Plan.Drain = true, time.Millisecond // a silent gateway never says that it is drained
		s.Published = []Published{{Port: "http", Number: port, Protocol: "http", Mode: ModeProxy}}
	}
}

// TestAPortIsAskedForAgain soon at first, as a gateway may not have let go of it
// yet, and seldom later; and not at all when all are had, however many services
// come up.
func TestAPortIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		busy := &taken{until: began.Add(10 * time.Second)}
		h := newGatedHome(t, func(l fakeLink) Link { busy.fakeLink = l; return busy }, service("web", published(9001)), service("api", published(9002)))
		h.up()
		unreachable := func(p *Present) bool { return p.Unreachable[serviceName("shop-1", "web")] != supervisor.Cause{} }
		h.eventually("the port is said to be taken", unreachable)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		h.eventually("the port is had", func(p *Present) bool { return !unreachable(p) })
		busy.mu.Lock()
		asked := slices.Clone(busy.asked)
		busy.mu.Unlock()
		var pauses []time.Duration
		for i := 1; i < len(asked); i++ {
			pauses = append(pauses, asked[i-1]-asked[i])
		}
		want := []time.Duration{20, 40, 80, 160, 320, 640, 1280, 2000, 2000, 2000, 2000}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if !slices.Equal(pauses, want) {
			t.Errorf("asked after %v, want %v", pauses, want)
		}
		h.detach()
	})
}

func newGatedHome(t *testing.T, through func(fakeLink) Link, services ...Service) *home {
	h := &home{t: t, store: newMemory(), runtime: fake.New(fake.Options{}), boot: "boot 1", doors: gatewaysOf(), through: through}
	h.project = Project{ID: "shop-1", Name: "shop", Directory: "/src/shop", Services: map[string]Service{}}
	h.begin(services)
	return h
}

// TestALostStateReplacesNoGateway: it was stopped when the runtime told of it
// before it told of the service that needs it.
func TestALostStateReplacesNoGateway(t *testing.T) {
	web := service("web", published(9001))
	h := newGatedHome(t, nil, web)
	h.up()
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
