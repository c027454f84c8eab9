package daemon

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/supervisor"
)

// contested is a link to a runtime that another daemon may drive.
type contested struct {
	fakeLink

	mu     sync.Mutex
	driver runtime.Driver
	news   chan struct{}
}

func (c *contested) Describe(ctx context.Context, version int) (runtime.Description, error) {
	d, err := c.fakeLink.Describe(ctx, version)
	now, _ := c.now()
	d.Driver = &now
	return d, err
}

func (c *contested) now() (runtime.Driver, chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.driver, c.news
}

func (c *contested) set(d runtime.Driver) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.driver = d
	if !d.Self {
		close(c.news)
		c.news = make(chan struct{})
	}
}

func (c *contested) Watch(ctx context.Context, fn func(runtime.Event) error) error {
	_, news := c.now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan struct{})
	go func() { // ends with ctx
		defer close(over)
		select {
		case <-news:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := c.fakeLink.Watch(ctx, fn)
	cancel()
	<-over
	return err
}

func (c *contested) Lead(_ context.Context, over bool) error {
	if d, _ := c.now(); d.Name != "" && !d.Self && !over {
		return runtime.WithHint(wrapClass("shop in staging is driven by "+d.String(), runtime.Conflict), "wait")
	}
	c.set(runtime.Driver{Self: true, Name: "bob@desk"})
	return nil
}

func (c *contested) Stop(ctx context.Context, id runtime.ID, how runtime.StopRequest) error {
	if d, _ := c.now(); !d.Self {
		return wrapClass("driven by "+d.String(), runtime.Conflict)
	}
	return c.fakeLink.Stop(ctx, id, how)
}

func (c *contested) Start(ctx context.Context, spec runtime.Spec) (runtime.Handle, error) {
	if d, _ := c.now(); !d.Self {
		return runtime.Handle{}, wrapClass("driven by "+d.String(), runtime.Conflict)
	}
	return c.fakeLink.Start(ctx, spec)
}

// TestOneDaemonDrives: another says who does, shows what is there, and changes
// nothing before it has taken over; nor does one that was taken over from.
func TestOneDaemonDrives(t *testing.T) {
	in := func(s *Service) { s.Spec.ID.Environment = "staging" }
	link := &contested{driver: runtime.Driver{Name: "alice@laptop"}, news: make(chan struct{})}
	h := &home{t: t, store: newMemory(), runtime: fake.New(fake.Options{}), boot: "boot 1", where: "staging"}
	h.through = func(l fakeLink) Link { link.fakeLink = l; return link }
	h.began(service("web", in))
	name := supervisor.Name{Environment: "staging", Project: "shop-1", Service: "web"}
	theirs := service("web", in).Spec
	theirs.ID.Number, theirs.Environment = 6, map[string]string{"LEVEL": "theirs"}
	if _, err := h.runtime.Start(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}

	for what, ask := range map[string]func() error{
		"up":      func() error { _, err := h.Up(t.Context(), UpRequest{}); return err },
		"down":    func() error { return h.Want(t.Context(), []supervisor.Name{name}, false) },
		"restart": func() error { return h.Restart(t.Context(), []supervisor.Name{name}) },
	} {
		if err := ask(); !errors.Is(err, runtime.Conflict) || !strings.Contains(err.Error(), "driven by alice@laptop") {
			t.Errorf("%s: %v", what, err)
		}
	}
	shown := func(p *Present) bool {
		g, _ := p.State.Service(name).Current()
		return g.Number == 6 && g.Phase == supervisor.PhaseReady && p.Projects["shop-1"].Name == "shop"
	}
	if p := h.eventually("what there is is shown", shown); !strings.Contains(p.Problem, "staging is driven by alice@laptop") {
		t.Errorf("the problem is %q", p.Problem)
	}

	if _, err := h.Up(t.Context(), UpRequest{TakeOver: true}); err != nil {
		t.Fatal(err)
	}
	h.eventually("it is replaced", func(p *Present) bool {
		g, _ := p.State.Service(name).Current()
		return g.Number == 7 && g.Phase == supervisor.PhaseReady && p.Problem == "" && len(p.State.Service(name).Generations) == 1
	})

	link.set(runtime.Driver{Name: "alice@laptop"})
	theirs.ID.Number, theirs.Environment = 8, map[string]string{"LEVEL": "another"}
	if _, err := h.runtime.Start(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	h.eventually("theirs is shown", func(p *Present) bool {
		g, _ := p.State.Service(name).Current()
		return p.State.Observing && g.Number == 8 && g.Phase == supervisor.PhaseReady
	})
	h.detach()
	h.start()
	h.eventually("it observes after a restart too", func(p *Present) bool { return p.State.Observing && p.State.Synced })
	link.set(runtime.Driver{})
	p := h.eventually("nobody drives", func(p *Present) bool { return strings.Contains(p.Problem, "nobody drives staging") })
	if g, _ := p.State.Service(name).Current(); p.State.Synced && g.Number != 8 {
		t.Errorf("generation %d is shown", g.Number)
	}
}
