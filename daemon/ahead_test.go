package daemon

import (
	"slices"
	"testing"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/supervisor"
)

// TestImagesAreMadeWhileServicesWait: of those that do, once each.
func TestImagesAreMadeWhileServicesWait(t *testing.T) {
	asked := make(chan string, 10)
	options := fake.Options{
		Capabilities: []string{runtime.CapabilityPreview},
		Script: func(spec runtime.Spec, _ runtime.InstanceID) fake.Act {
			if spec.Command[0] == "build" {
				return fake.Act{Exit: &runtime.Exit{}}
			}
			return fake.Act{Unable: spec.ID.Service == "db"}
		},
		Preview: func(req runtime.PreviewRequest) ([]runtime.Preview, error) {
			for _, s := range req.Specs {
				asked <- string(req.Kind) + " " + s.ID.Label()
			}
			return nil, runtime.Unavailable // nobody minds
		},
	}
	packed := func(s *Service) { s.Spec.Package = &runtime.Package{Root: "/app"} }
	h := &home{t: t, store: newMemory(), runtime: fake.New(options), boot: "boot 1"}
	h.began(service("db", packed), service("web", packed, built, needs("db")), service("plain", needs("db")))
	h.up()
	if got := <-asked; got != "image web/1" {
		t.Errorf("asked for %s", got)
	}
	if got := h.started(); slices.Contains(got, "web/1") {
		t.Errorf("started %q", got)
	}
	h.eventually("db running", func(p *Present) bool {
		g, ok := p.State.Service(serviceName("shop-1", "db")).Current()
		return ok && len(g.Instances) > 0
	})
	db := runtime.InstanceID{ID: runtimeID(supervisor.ID{Name: serviceName("shop-1", "db"), Number: 1}), Attempt: 1}
	if err := h.runtime.SetReady(db, true, ""); err != nil {
		t.Fatal(err)
	}
	h.eventually("web ready", phase("web", supervisor.PhaseReady))
	if len(asked) > 0 {
		t.Errorf("asked for %s, too", <-asked)
	}
}
