package daemon

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/supervisor"
)

// TestAServiceIsNotSaidToBeReadyBeforeTheGatewayKnows: a daemon that was killed
// right after that had left its callers with a gateway without routes.
func TestAServiceIsNotSaidToBeReadyBeforeTheGatewayKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, gates := deafHome(t)
		defer h.detach()
		p := h.eventually("web is up", readyAt("web", 1))
		told := make(chan struct{})
		go func() {
			defer close(told)
			h.AwaitRouted(t.Context(), p.Sequence)
		}()
		synctest.Wait()
		select {
		case <-told:
			t.Fatal("it was said before")
		default:
		}
		close(gates.deaf)
		<-told
		if h.routed.late.Load() {
			t.Error("it took the whole limit")
		}
	})
}

// TestAGatewayThatHangsHoldsNobodyUp who asks for the status, but for a while,
// and for that once.
func TestAGatewayThatHangsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, gates := deafHome(t)
		defer h.detach()
		p := h.eventually("web is up", readyAt("web", 1))
		for _, want := range []time.Duration{openLimit, lateLimit, lateLimit} {
			began := time.Now()
			h.AwaitRouted(t.Context(), p.Sequence)
			if got := time.Since(began); got != want {
				t.Errorf("it took %s, not %s", got, want)
			}
		}
		close(gates.deaf)
		h.AwaitRouted(t.Context(), p.Sequence)
		if h.routed.late.Load() {
			t.Error("it hears, and is taken to hang")
		}
	})
}

// deafHome has a service behind a gateway that does not hear.
func deafHome(t *testing.T) (*home, *fakeGates) {
	gates := &fakeGates{deaf: make(chan struct{}), tables: map[uint64]map[string]Route{}, report: map[uint64]func(GatewayReport){}}
	h := &home{t: t, store: newMemory(), runtime: fake.New(fake.Options{}), boot: "boot 1", gates: gatewaysOf()}
	h.gates.Dial = func(number uint64) Gateway { return fakeGate{gates, number} }
	h.began(service("web", published(9001)))
	h.up()
	return h, gates
}

// TestWhatIsWaitedForIsKnownWhileItIsNotReady to the gateway, by its address:
// the daemon may not be there to say that it is.
func TestWhatIsWaitedForIsKnownWhileItIsNotReady(t *testing.T) {
	h, gates := newGatedHome(t, service("web", published(9001)))
	serving := func() Route { return gates.route(1, "web") }
	h.waits("it serves", func() bool { return serving().Traffic.State == supervisor.TrafficServing })
	before := serving()
	id := runtime.InstanceID{ID: runtime.ID{Environment: Local, Project: "shop-1", Service: "web", Number: 1}, Attempt: 1}
	if err := h.runtime.SetReady(id, false, "it thinks"); err != nil {
		t.Fatal(err)
	}
	h.waits("it is held", func() bool { return serving().Traffic.State == supervisor.TrafficHeld })
	if r := serving(); r.Traffic.Generation != 1 || !reflect.DeepEqual(r.Endpoints, before.Endpoints) {
		t.Errorf("held is %+v, after %+v", r, before)
	}
}
