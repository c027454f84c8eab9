package daemon

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/supervisor"
)

// fakeWatcher has files that tests save.
type fakeWatcher struct {
	saves    chan Saved
	stirring chan string

	mu     sync.Mutex
	roots  map[string][]WatchRoot
	newer  []Written
	acting int
}

func newFakeWatcher() *fakeWatcher {
	return &fakeWatcher{saves: make(chan Saved), stirring: make(chan string), roots: map[string][]WatchRoot{}}
}

func (w *fakeWatcher) Set(project string, roots []WatchRoot) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.roots[project] = roots
	return nil
}

func (w *fakeWatcher) watches(project string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.roots[project]) > 0
}

func (w *fakeWatcher) Newer(_ string, since time.Time) []Written {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.newer), func(f Written) bool { return !f.Time.After(since) })
}

func (w *fakeWatcher) Saves() <-chan Saved { return w.saves }

func (w *fakeWatcher) Stirring() <-chan string { return w.stirring }

func (w *fakeWatcher) Acting(string) func(time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acting++
	return func(time.Time) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.acting--
	}
}

func (w *fakeWatcher) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acting == 0
}

// fakeInputter makes a service of the directory of its name.
type fakeInputter struct{}

type fakeInputs string

func (fakeInputter) Guess(s Service) Inputs {
	if s.Watch.Mode == "" {
		return nil
	}
	return fakeInputs("/src/shop/" + s.Name)
}

func (i fakeInputter) Find(_ context.Context, s Service, _ Run) (Inputs, error) {
	return i.Guess(s), nil
}

func (d fakeInputs) Roots() []WatchRoot       { return []WatchRoot{{Dir: string(d)}} }
func (d fakeInputs) Affects(path string) bool { return strings.HasPrefix(path, string(d)+"/") }
func (d fakeInputs) Stale(string) bool        { return false }

func saved(s *Service) { s.Watch.Mode = "auto"; s.Plan.Reload = supervisor.ReloadOverlap }

// newSavedHome has services whose files are watched.
func newSavedHome(t *testing.T, services ...Service) *home {
	h := &home{t: t, store: newMemory(), runtime: fake.New(fake.Options{}), boot: "boot 1", files: newFakeWatcher()}
	h.began(services...)
	h.up()
	h.watched()
	return h
}

// watched waits until files are watched.
func (h *home) watched() {
	h.t.Helper()
	h.waits("files are watched", func() bool { return h.files.watches("shop-1") })
}

// waits is for what no Present tells of.
func (h *home) waits(what string, is func() bool) {
	h.t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("%s: it does not come about", what)
		}
	}
}

func (h *home) save(paths ...string) { h.files.saves <- Saved{Project: "shop-1", Paths: paths} }

func readyAt(service string, number uint64) func(*Present) bool {
	return func(p *Present) bool {
		g, ok := p.State.Service(serviceName("shop-1", service)).Current()
		return ok && g.Number == number && g.Phase == supervisor.PhaseReady
	}
}

func TestASaveReloadsWhatItAffects(t *testing.T) {
	h := newSavedHome(t, service("web", saved), service("cart", saved), service("db"))
	h.eventually("cart is up", readyAt("cart", 1))
	h.eventually("db is up", readyAt("db", 1))
	h.eventually("web is up", readyAt("web", 1))
	h.save("/src/shop/web/main.go", "/src/shop/web/page.go", "/src/shop/README.md")
	p := h.eventually("web is reloaded", readyAt("web", 2))
	if !readyAt("cart", 1)(p) || !readyAt("db", 1)(p) {
		t.Error("others were reloaded too")
	}
	if s := p.State.Service(serviceName("shop-1", "web")); s.Trigger != filepath.Join("web", "main.go")+" and 1 more changed" {
		t.Errorf("trigger %q", s.Trigger)
	}
	h.waits("the reload is over for the watcher", h.files.idle)
	h.save("/src/shop/db/x")
	h.save("/src/shop/cart/x")
	p = h.eventually("cart is reloaded", readyAt("cart", 2))
	if !readyAt("db", 1)(p) {
		t.Error("a service that is not watched was reloaded")
	}
}

func TestWhatIsDownIsNotWatched(t *testing.T) {
	h := newSavedHome(t, service("web", saved))
	if err := h.Want(t.Context(), h.names("shop-1", []string{"web"}), false); err != nil {
		t.Fatal(err)
	}
	h.waits("nothing is watched", func() bool { return !h.files.watches("shop-1") })
}

// What was saved while no daemon was there is noticed by the next one.
func TestSavesWithoutADaemonAreFound(t *testing.T) {
	h := newSavedHome(t, service("web", saved), service("cart", saved))
	h.eventually("web is up", readyAt("web", 1))
	h.eventually("cart is up", readyAt("cart", 1))
	h.detach()
	h.files = newFakeWatcher()
	h.files.newer = []Written{{"/src/shop/web/main.go", time.Now().Add(time.Minute)}, {"/src/shop/cart/main.go", time.Now().Add(-time.Hour)}}
	h.start()
	p := h.eventually("web is reloaded", readyAt("web", 2))
	if !readyAt("cart", 1)(p) {
		t.Error("cart was reloaded, and nothing of it was saved since it was made")
	}
}

// A service that a debugger holds is spared until that lets go.
func TestAHaltedServiceIsReloadedLater(t *testing.T) {
	t.Run("asked when it is saved", func(t *testing.T) { haltedIsReloadedLater(t, false) })
	t.Run("asked when files stir", func(t *testing.T) { haltedIsReloadedLater(t, true) })
}

func haltedIsReloadedLater(t *testing.T, stirs bool) {
	h := newSavedHome(t, service("web", saved), service("cart", saved))
	h.eventually("web is up", readyAt("web", 1))
	h.eventually("cart is up", readyAt("cart", 1))
	web := runtime.InstanceID{ID: runtimeID(supervisor.ID{Name: serviceName("shop-1", "web"), Number: 1}), Attempt: 1}
	if err := h.runtime.SetHalted(web, "traced by dlv (pid 41)"); err != nil {
		t.Fatal(err)
	}
	if stirs {
		h.files.stirring <- "shop-1"
	}
	h.save("/src/shop/web/main.go")
	h.save("/src/shop/cart/main.go")
	p := h.eventually("cart is reloaded", readyAt("cart", 2))
	if !readyAt("web", 1)(p) {
		t.Error("web was reloaded under the debugger")
	}
	h.waits("it is said", func() bool {
		return strings.Contains(h.told(), "web/main.go changed, but it is traced by dlv (pid 41)")
	})
	if err := h.runtime.SetHalted(web, ""); err != nil {
		t.Fatal(err)
	}
	h.eventually("web is reloaded", readyAt("web", 2))
}

// told is the text of all events.
func (h *home) told() string {
	var text strings.Builder
	_ = h.Events(h.t.Context(), 0, false, func(events []Event) error {
		for _, e := range events {
			text.WriteString(e.Service + " " + e.Text + "\n")
		}
		return nil
	})
	return text.String()
}
