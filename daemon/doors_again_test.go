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

// busyPorts is a runtime at which every port is taken for some time.
type busyPorts struct {
	fakeLink
	until time.Time

	mu    sync.Mutex
	asked []time.Duration // until then
}

func (k *busyPorts) Listen(_ context.Context, sockets []runtime.Socket) ([]runtime.SocketStatus, error) {
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
func (silent) Await(context.Context) error             { return nil }
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

// TestAPortIsAskedForAgain soon at first, as a gateway may not have let go of it
// yet, and seldom later; and not at all when all are had, however many services
// come up.
func TestAPortIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		busy := &busyPorts{until: began.Add(10 * time.Second)}
		h := &home{t: t, store: newMemory(), runtime: fake.New(fake.Options{}), boot: "boot 1", gates: gatewaysOf()}
		h.through = func(l fakeLink) Link { busy.fakeLink = l; return busy }
		h.began(service("web", published(9001)), service("api", published(9002)))
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
