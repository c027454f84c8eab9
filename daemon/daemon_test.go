package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/supervisor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a Store in memory that can be told to fail.
type memory struct {
	mu       sync.Mutex
	full     error
	commits  int
	services map[supervisor.Name]supervisor.Service
	specs    map[runtime.ID]runtime.Spec
	projects map[string]Project
	ports    map[string]int
	events   []Event
	boot     string
	noted    Noted
}

func newMemory() *memory {
	return &memory{services: map[supervisor.Name]supervisor.Service{}, specs: map[runtime.ID]runtime.Spec{}, projects: map[string]Project{}, ports: map[string]int{}}
}

func apply[K comparable, V any](m map[K]V, changes map[K]*V) {
	for k, v := range changes {
		if v == nil {
			delete(m, k)
		} else {
			m[k] = *v
		}
	}
}

func (m *memory) Commit(b Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full != nil {
		return m.full
	}
	m.commits++
	apply(m.services, b.Services)
	apply(m.specs, b.Specs)
	apply(m.projects, b.Projects)
	maps.Copy(m.ports, b.Ports)
	m.events = append(m.events, b.Events...)
	if b.Boot != "" {
		m.boot = b.Boot
	}
	if b.Noted != (Noted{}) {
		m.noted = b.Noted
	}
	return nil
}

func (m *memory) Events(after uint64, limit int) ([]Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Event
	for _, e := range m.events {
		if e.Sequence > after && len(found) < limit {
			found = append(found, e)
		}
	}
	return found, nil
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = err
}

func (m *memory) restored() Restored {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Restored{Boot: m.boot, Noted: m.noted, Projects: maps.Clone(m.projects), Specs: maps.Clone(m.specs), Ports: maps.Clone(m.ports)}
	for _, s := range m.services {
		r.Services = append(r.Services, s)
	}
	if len(m.events) > 0 {
		r.LastEvent = m.events[len(m.events)-1].Sequence
	}
	return r
}

// fakeLink is a fake runtime as a Link; closing it detaches.
type fakeLink struct{ *fake.Runtime }

func (fakeLink) Close() error { return nil }

// deafLink is a link to a runtime that is told to forget, and does not hear it.
type deafLink struct{ fakeLink }

func (deafLink) Forget(context.Context, uint64) error { return nil }

// home is a daemon over a store and a runtime that both outlive it.
type home struct {
	t       *testing.T
	store   *memory
	runtime *fake.Runtime
	project Project
	boot    string
	problem string
	deaf    bool // the runtime does not forget
	files   *fakeWatcher
	gates   *Gateways
	through func(fakeLink) Link // nil: as it is
	where   string              // the environment; empty: Local

	diagnosing func(Output) Diagnoser

	*Daemon
	detach func()
}

func newHome(t *testing.T, script fake.Script, services ...Service) *home {
	h := &home{t: t, store: newMemory(), runtime: fake.New(fake.Options{Script: script}), boot: "boot 1"}
	h.began(services...)
	return h
}

// began gives the home its project, and starts its daemon.
func (h *home) began(services ...Service) {
	h.project = Project{ID: "shop-1", Name: "shop", Directory: "/src/shop", File: "/src/shop/stead.yaml", Services: map[string]Service{}}
	for _, s := range services {
		h.project.Services[s.Name] = s
	}
	h.start()
	h.t.Cleanup(func() { h.detach() })
}

// start runs a daemon; the one before must have been detached.
func (h *home) start() {
	var to Link = fakeLink{h.runtime}
	if h.deaf {
		to = deafLink{fakeLink{h.runtime}}
	}
	if h.through != nil {
		to = h.through(fakeLink{h.runtime})
	}
	var watcher Watcher
	if h.files != nil {
		watcher = h.files
	}
	h.Daemon = New(Options{
		Environment: h.where, Watcher: watcher, Inputter: fakeInputter{}, Gateways: h.gates,
		Store: h.store, Restored: h.store.restored(), Limit: 4, Boot: h.boot, Problem: h.problem, Diagnose: h.diagnosing,
		Connect: func(context.Context) (Link, error) { return to, nil },
		Load: func(_ context.Context, req LoadRequest) (Loaded, error) {
			wanted := req.Services
			if len(wanted) == 0 {
				wanted = slices.Sorted(maps.Keys(h.project.Services))
			}
			return Loaded{Project: h.project, Wanted: wanted}, nil
		},
		Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }() // ends with ctx, or by Stop
	h.detach = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Errorf("Run: %v", err)
		}
	})
}

func service(name string, more ...func(*Service)) Service {
	s := Service{
		Name: name,
		Plan: supervisor.Plan{Revision: name + " 1", Reload: supervisor.ReloadRestart, Replicas: 1},
		Spec: runtime.Spec{
			ID: runtime.ID{Environment: Local, Project: "shop-1", Service: name}, Command: []string{name}, Dir: "/src/shop",
			Replicas: 1, Restart: runtime.Restart{Policy: runtime.RestartNo}, Stop: runtime.Stop{Signal: "TERM"},
		},
	}
	for _, m := range more {
		m(&s)
	}
	return s
}

func needs(names ...string) func(*Service) {
	return func(s *Service) {
		for _, n := range names {
			s.Plan.DependsOn = append(s.Plan.DependsOn, supervisor.Dependency{Service: n, Condition: supervisor.ConditionHealthy})
		}
	}
}

func built(s *Service) {
	build := s.Spec
	build.ID.Service += buildSuffix
	build.Log = s.Name
	build.Command = []string{"build"}
	s.Build, s.Plan.Build = &build, true
}

func (h *home) up(services ...string) UpResult {
	h.t.Helper()
	r, err := h.Up(context.Background(), UpRequest{Services: services})
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// eventually waits for a Present that is as it should be.
func (h *home) eventually(what string, is func(*Present) bool) *Present {
	h.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		p := h.Present()
		if is(p) {
			return p
		}
		select {
		case <-p.Newer():
		case <-limit:
			h.t.Fatalf("%s does not come about: %+v, %q", what, p.State.Services, p.Problem)
		}
	}
}

func phase(service string, want supervisor.Phase) func(*Present) bool {
	return func(p *Present) bool { return p.State.Service(serviceName("shop-1", service)).Phase() == want }
}

func (h *home) started() []string {
	var list []string
	for _, c := range h.runtime.Calls() {
		if c.Method == "Start" {
			list = append(list, c.ID.Label())
		}
	}
	return list
}

func TestUpStartsInOrder(t *testing.T) {
	h := newHome(t, nil, service("db"), service("web", needs("db")))
	r := h.up()
	if !slices.Equal(r.Services, []string{"db", "web"}) || !slices.Equal(r.Changed, []string{"db", "web"}) || r.Project.Shown != "shop" {
		t.Errorf("%+v", r)
	}
	h.eventually("web ready", phase("web", supervisor.PhaseReady))
	if got := h.started(); !slices.Equal(got, []string{"db/1", "web/1"}) {
		t.Errorf("started %v", got)
	}
	if r := h.up(); len(r.Changed) != 0 {
		t.Errorf("a second up changed %v", r.Changed)
	}
}

func TestANewDaemonFindsEverything(t *testing.T) {
	h := newHome(t, nil, service("web"))
	h.up()
	h.eventually("web ready", phase("web", supervisor.PhaseReady))
	h.detach()
	id := runtime.ID{Environment: Local, Project: "shop-1", Service: "web", Number: 1}
	h.start()
	p := h.eventually("web ready again", phase("web", supervisor.PhaseReady))
	if got := h.started(); !slices.Equal(got, []string{"web/1"}) {
		t.Errorf("started %v", got)
	}
	if _, ok := p.Specs[id]; !ok {
		t.Error("the spec of the generation was forgotten")
	}
	if p.Projects["shop-1"].Directory != "/src/shop" {
		t.Errorf("the project was forgotten: %+v", p.Projects)
	}
}

func TestAfterARebootOnlyWhatIsKept(t *testing.T) {
	h := newHome(t, nil, service("kept"), service("other"))
	if _, err := h.Up(context.Background(), UpRequest{Services: []string{"kept"}, Keep: true}); err != nil {
		t.Fatal(err)
	}
	h.up("other")
	h.eventually("other ready", phase("other", supervisor.PhaseReady))
	h.detach()
	h.boot, h.runtime = "boot 2", fake.New(fake.Options{})
	h.start()
	h.eventually("kept ready", phase("kept", supervisor.PhaseReady))
	if got := h.started(); !slices.Equal(got, []string{"kept/2"}) {
		t.Errorf("started %v", got)
	}
}

func TestAStateThatCannotBeWrittenRefusesRequestsAndKeepsFacts(t *testing.T) {
	h := newHome(t, nil, service("web"), service("api"))
	h.up("web")
	h.eventually("web ready", phase("web", supervisor.PhaseReady))
	h.store.fail(runtime.WithHint(fmt.Errorf("no space left on device: %w", runtime.Unavailable), "make room"))
	_, err := h.Up(context.Background(), UpRequest{Services: []string{"api"}})
	if !errors.Is(err, runtime.Unavailable) || runtime.Hint(err) != "make room" || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("up: %v, hint %q", err, runtime.Hint(err))
	}
	web := runtime.InstanceID{ID: runtime.ID{Environment: Local, Project: "shop-1", Service: "web", Number: 1}, Attempt: 1}
	if err := h.runtime.End(web, runtime.Exit{Code: 3}); err != nil {
		t.Fatal(err)
	}
	h.eventually("the problem shown", func(p *Present) bool { return strings.Contains(p.Problem, "no space left") })
	h.store.fail(nil)
	h.eventually("web failed", phase("web", supervisor.PhaseFailed))
	h.eventually("the problem gone", func(p *Present) bool { return p.Problem == "" })
	if got := h.started(); !slices.Equal(got, []string{"web/1"}) {
		t.Errorf("started %v", got)
	}
	h.up("api")
	h.eventually("api ready", phase("api", supervisor.PhaseReady))
}

func TestARefusedRequestAloneDoesNotLeaveTheProblemStanding(t *testing.T) {
	h := newHome(t, nil, service("web"))
	h.eventually("the runtime attached", func(p *Present) bool { return p.State.Synced })
	h.store.fail(errors.New("no space left on device"))
	if _, err := h.Up(context.Background(), UpRequest{}); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("up: %v", err)
	}
	h.eventually("the problem shown", func(p *Present) bool { return strings.Contains(p.Problem, "no space left") })
	h.store.fail(nil)
	h.eventually("the problem gone", func(p *Present) bool { return p.Problem == "" })
	if got := h.started(); len(got) > 0 {
		t.Errorf("a request that was refused started %v", got)
	}
}

func TestABuildThatFailsNamesItsFirstError(t *testing.T) {
	script := func(spec runtime.Spec, _ runtime.InstanceID) fake.Act {
		if spec.Command[0] == "build" {
			return fake.Act{Output: "# shop/web\nweb/main.go:12:3: undefined: x\ntoo many errors\n", Exit: &runtime.Exit{Code: 1}}
		}
		return fake.Act{}
	}
	h := newHome(t, script, service("web", built))
	h.up()
	p := h.eventually("web failed", phase("web", supervisor.PhaseFailed))
	cause := p.State.Service(serviceName("shop-1", "web")).Why()
	if cause.Kind != supervisor.CauseBuild || cause.Text != "build failed: web/main.go:12:3: undefined: x" {
		t.Errorf("cause %+v", cause)
	}
}

func TestABuildComesBeforeTheStart(t *testing.T) {
	script := func(spec runtime.Spec, _ runtime.InstanceID) fake.Act {
		if spec.Command[0] == "build" {
			return fake.Act{Exit: &runtime.Exit{}}
		}
		return fake.Act{}
	}
	h := newHome(t, script, service("web", built))
	h.up()
	h.eventually("web ready", phase("web", supervisor.PhaseReady))
	if got := h.started(); !slices.Equal(got, []string{"web:build/1", "web/1"}) {
		t.Errorf("started %v", got)
	}
}

func TestExitsAreToldOnceAndForgottenAfterTheCommit(t *testing.T) {
	script := func(runtime.Spec, runtime.InstanceID) fake.Act { return fake.Act{Exit: &runtime.Exit{Code: 7}} }
	h := newHome(t, script, service("job"))
	h.up()
	h.eventually("job failed", phase("job", supervisor.PhaseFailed))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var texts []string
	done := errors.New("seen")
	err := h.Events(ctx, 0, true, func(events []Event) error {
		for _, e := range events {
			if e.Kind == EventExit {
				texts = append(texts, e.Instance+" "+e.Text)
				return done
			}
		}
		return nil
	})
	if !errors.Is(err, done) || !slices.Equal(texts, []string{"1/0/1 exit code 7"}) {
		t.Errorf("%v, %v", texts, err)
	}
	forgets := func() bool {
		return slices.ContainsFunc(h.runtime.Calls(), func(c fake.Call) bool { return c.Method == "Forget" && c.Sequence > 0 })
	}
	for end := time.Now().Add(5 * time.Second); !forgets(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the runtime was never told to forget")
		}
	}
	kept, _ := h.store.Events(0, 1000)
	if !slices.ContainsFunc(kept, func(e Event) bool { return e.Text == "exit code 7" }) {
		t.Errorf("forgotten before it was kept: %v", kept)
	}
}

func TestStopWithServices(t *testing.T) {
	h := newHome(t, nil, service("db"), service("web", needs("db")))
	h.up()
	h.eventually("web ready", phase("web", supervisor.PhaseReady))
	n, err := h.Stop(context.Background(), true)
	if err != nil || n != 2 {
		t.Errorf("stopped %d, %v", n, err)
	}
	var stops []string
	for _, c := range h.runtime.Calls() {
		if c.Method == "Stop" || c.Method == "Shutdown" {
			stops = append(stops, c.Method+" "+c.ID.Service)
		}
	}
	if !slices.Equal(stops, []string{"Stop web", "Stop db", "Shutdown "}) {
		t.Errorf("%v", stops)
	}
	if _, err := h.Up(context.Background(), UpRequest{}); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("up after the end: %v", err)
	}
}

func TestCommandRunsInTheEnvironmentOfItsService(t *testing.T) {
	h := newHome(t, nil, service("web", func(s *Service) {
		s.Spec.Environment = map[string]string{"LEVEL": "debug"}
		s.Spec.Ports = []runtime.Port{{Name: "http", Number: 9001}}
		s.URLs = []string{"http://127.0.0.1:9001"}
	}))
	if _, err := h.Up(context.Background(), UpRequest{Environment: []string{"PATH=/bin"}}); err != nil {
		t.Fatal(err)
	}
	spec, err := h.Command(context.Background(), serviceName("shop-1", "web"), CommandRequest{Command: []string{"env"}})
	if err != nil {
		t.Fatal(err)
	}
	project, err := h.Command(context.Background(), serviceName("shop-1", ""), CommandRequest{Command: []string{"env"}})
	if err != nil || !maps.Equal(project.Environment, map[string]string{"STEAD_WEB_URL": "http://127.0.0.1:9001"}) {
		t.Errorf("of the project: %v, %v", project.Environment, err)
	}
	want := map[string]string{"LEVEL": "debug", "PORT": "9001", "PORT_HTTP": "9001"}
	if !maps.Equal(spec.Environment, want) || !slices.Equal(spec.Inherited, []string{"PATH=/bin"}) || len(spec.Ports) > 0 {
		t.Errorf("%+v", spec)
	}
	if _, err := h.Command(context.Background(), serviceName("shop-1", "nosuch"), CommandRequest{}); !errors.Is(err, runtime.NotFound) {
		t.Errorf("unknown service: %v", err)
	}
}

func TestASecondCheckoutIsShownByItsDirectory(t *testing.T) {
	others := map[string]Project{"shop-1": {ID: "shop-1", Shown: "shop"}}
	for _, c := range []struct {
		project Project
		want    string
	}{
		{Project{ID: "shop-1", Name: "shop", Directory: "/a/shop"}, "shop"},
		{Project{ID: "shop-2", Name: "shop", Directory: "/b/feature"}, "shop-feature"},
		{Project{ID: "other-3", Name: "other", Directory: "/c/other"}, "other"},
	} {
		if got := shownName(c.project, others); got != c.want {
			t.Errorf("%s: %q, want %q", c.project.ID, got, c.want)
		}
	}
}

func TestAutoPortsAreRemembered(t *testing.T) {
	p := newPorts(map[string]int{"shop-1/web/http": 20001})
	if n, err := p.auto("shop-1", "web", "http"); err != nil || n != 20001 {
		t.Errorf("%d, %v", n, err)
	}
	n, err := p.auto("shop-1", "api", "http")
	if err != nil || n < autoPortFirst || n >= autoPortFirst+autoPortCount || n == 20001 {
		t.Errorf("%d, %v", n, err)
	}
	if again, _ := p.auto("shop-1", "api", "http"); again != n {
		t.Errorf("%d, then %d", n, again)
	}
	if fresh := p.uncommitted(); len(fresh) != 1 || fresh["shop-1/api/http"] != n {
		t.Errorf("uncommitted %v", fresh)
	}
	p.committed(p.uncommitted())
	if fresh := p.uncommitted(); len(fresh) != 0 {
		t.Errorf("still uncommitted %v", fresh)
	}
}

func TestExitTexts(t *testing.T) {
	for _, c := range []struct {
		exit runtime.Exit
		want string
	}{
		{runtime.Exit{Code: 3}, "exit code 3"},
		{runtime.Exit{Code: -1, Signal: "SIGSEGV", Core: true}, "killed by SIGSEGV, core dumped"},
		{runtime.Exit{Code: -1, Signal: "SIGKILL", OOM: true}, "killed by the kernel: out of memory"},
		{runtime.Exit{Code: -1, Error: "no such file"}, "no such file"},
		{runtime.Exit{Code: -1, Lost: true}, "ended with the runtime; how is not known"},
		{runtime.Exit{Leftovers: 2}, "exit code 0; 2 processes that it left behind were killed"},
	} {
		if got := exitText(c.exit); got != c.want {
			t.Errorf("%+v: %q, want %q", c.exit, got, c.want)
		}
	}
}
