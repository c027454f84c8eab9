package split_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/runtime/split"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is two fakes and what is made of them.
type pair struct {
	t           *testing.T
	here, there *fake.Runtime
	*split.Runtime
}

func newPair(t *testing.T, script fake.Script) *pair {
	p := &pair{t: t, here: fake.New(fake.Options{Script: script}), there: fake.New(fake.Options{Script: script, Capabilities: []string{runtime.CapabilityRoute}})}
	p.join(nil)
	return p
}

func (p *pair) join(positions *split.Positions) {
	p.Runtime = split.New(split.Options{Here: p.here, There: p.there, Positions: positions})
}

func (p *pair) start(service string, number uint64, more ...func(*runtime.Spec)) {
	p.t.Helper()
	spec := runtime.Spec{
		ID: id(service, number), Command: []string{"x"}, Dir: "/", Replicas: 1, Inherited: []string{"HOME=/home/me"},
		Restart: runtime.Restart{Policy: runtime.RestartNo}, Stop: runtime.Stop{Signal: "TERM"},
	}
	for _, m := range more {
		m(&spec)
	}
	if _, err := p.Start(p.t.Context(), spec); err != nil {
		p.t.Fatal(err)
	}
}

func id(service string, number uint64) runtime.ID {
	return runtime.ID{Environment: "staging", Project: "shop", Service: service, Number: number}
}

// listener hears a Watch.
type listener struct {
	mu     sync.Mutex
	events []runtime.Event
	more   chan struct{}
	over   chan error
}

func (p *pair) watch(ctx context.Context) *listener {
	l := &listener{more: make(chan struct{}, 1), over: make(chan error, 1)}
	go func() { // ends with ctx, or when either runtime is lost
		l.over <- p.Watch(ctx, func(e runtime.Event) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.events = append(l.events, e)
			select {
			case l.more <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	return l
}

// until waits for an event, and returns all up to it.
func (l *listener) until(t *testing.T, what string, is func(runtime.Event) bool) []runtime.Event {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		l.mu.Lock()
		heard := slices.Clone(l.events)
		l.mu.Unlock()
		if i := slices.IndexFunc(heard, is); i >= 0 {
			return heard[:i+1]
		}
		select {
		case <-l.more:
		case <-limit:
			t.Fatalf("%s: not among %d events", what, len(heard))
		}
	}
}

func synced(e runtime.Event) bool { return e.Kind == runtime.SyncedEvent }

func phase(service string, p runtime.GenerationPhase) func(runtime.Event) bool {
	return func(e runtime.Event) bool {
		return e.Kind == runtime.GenerationEvent && e.ID.Service == service && e.Generation.Phase == p
	}
}

func TestBuildsRunHereAndServicesThere(t *testing.T) {
	p := newPair(t, nil)
	p.start("web:build", 1)
	p.start("web", 1)
	starts := func(r *fake.Runtime) string {
		var all []string
		for _, c := range r.Calls() {
			all = append(all, fmt.Sprint(c.Method, " ", c.ID.Service, " ", len(c.Spec.Inherited)))
		}
		return strings.Join(all, ", ")
	}
	if got := starts(p.here); got != "Start web:build 1" {
		t.Errorf("here: %s", got)
	}
	if got := starts(p.there); got != "Start web 0" {
		t.Errorf("there: %s", got)
	}
	for _, try := range []error{
		p.Stop(t.Context(), id("web:build", 1), runtime.StopRequest{}), p.Stop(t.Context(), id("web", 1), runtime.StopRequest{}), p.Route(t.Context(), id("web", 1)),
	} {
		if try != nil && !errors.Is(try, runtime.Conflict) {
			t.Error(try)
		}
	}
	d, err := p.Describe(t.Context(), runtime.ContractVersion)
	if err != nil || !slices.Contains(d.Capabilities, runtime.CapabilityRoute) || d.Nonce == "" {
		t.Errorf("described as %+v, %v", d, err)
	}
}

func TestSyncedWhenBothAre(t *testing.T) {
	p := newPair(t, nil)
	p.start("web:build", 1)
	p.start("web", 1)
	p.start("api", 1)
	l := p.watch(t.Context())
	heard := l.until(t, "synced", synced)
	for i, e := range heard {
		if e.Sequence != uint64(i+1) {
			t.Fatalf("event %d has number %d", i, e.Sequence)
		}
	}
	services := map[string]bool{}
	for _, e := range heard {
		services[e.ID.Service] = true
	}
	if !services["web:build"] || !services["web"] || !services["api"] {
		t.Errorf("the present has %v", services)
	}
}

func TestWatchEndsWhenEitherIsLost(t *testing.T) {
	for _, lost := range []string{"here", "there"} {
		p := newPair(t, nil)
		l := p.watch(t.Context())
		l.until(t, "synced", synced)
		if lost == "here" {
			_ = p.here.Shutdown(t.Context())
		} else {
			_ = p.there.Shutdown(t.Context())
		}
		select {
		case err := <-l.over:
			if !errors.Is(err, runtime.Unavailable) {
				t.Errorf("%s lost: %v", lost, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s lost: Watch goes on", lost)
		}
	}
}

// TestForgetIsForBoth has exits told again until they are forgotten, each by
// the runtime that has it.
func TestForgetIsForBoth(t *testing.T) {
	p := newPair(t, func(spec runtime.Spec, _ runtime.InstanceID) fake.Act {
		if strings.HasPrefix(spec.ID.Service, "job") {
			return fake.Act{Exit: &runtime.Exit{}}
		}
		return fake.Act{}
	})
	p.start("job:build", 1)
	p.start("job", 1)
	exits := func(events []runtime.Event) (services []string) {
		for _, e := range events {
			if e.Kind == runtime.ExitedEvent {
				services = append(services, e.ID.Service)
			}
		}
		slices.Sort(services)
		return services
	}
	ctx, stop := context.WithCancel(t.Context())
	l := p.watch(ctx)
	l.until(t, "completed here", phase("job:build", runtime.GenerationCompleted))
	l.until(t, "completed there", phase("job", runtime.GenerationCompleted))
	end := l.until(t, "synced", synced)
	p.start("web", 1) // so that something comes after Synced
	last := l.until(t, "web runs", func(e runtime.Event) bool { return e.Kind == runtime.ReadyEvent && e.ID.Service == "web" })
	stop()
	<-l.over

	if err := p.Forget(t.Context(), end[0].Sequence); err != nil {
		t.Fatal(err)
	}
	ctx, stop = context.WithCancel(t.Context())
	p.join(nil)
	again := p.watch(ctx)
	if got := exits(again.until(t, "synced", synced)); !slices.Equal(got, []string{"job", "job:build"}) {
		t.Errorf("before all was told, %v is kept", got)
	}
	heard := again.until(t, "synced", synced)
	stop()
	<-again.over
	if len(last) == 0 {
		t.Fatal("nothing was heard")
	}
	if err := p.Forget(t.Context(), heard[len(heard)-1].Sequence); err != nil {
		t.Fatal(err)
	}
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	p.join(nil)
	third := p.watch(ctx)
	if got := exits(third.until(t, "synced", synced)); len(got) != 0 {
		t.Errorf("%v is told again after Forget", got)
	}
	stop()
	<-third.over
}

// slow is a runtime that takes its time to end.
type slow struct {
	*fake.Runtime
	begun, end chan struct{}
}

func (s *slow) Shutdown(ctx context.Context) error {
	close(s.begun)
	<-s.end
	return s.Runtime.Shutdown(ctx)
}

// TestWatchGoesOnWhileShuttingDown: its end has the caller close what the
// shutdown of the other runtime still needs.
func TestWatchGoesOnWhileShuttingDown(t *testing.T) {
	here := &slow{fake.New(fake.Options{}), make(chan struct{}), make(chan struct{})}
	p := &pair{t: t, there: fake.New(fake.Options{})}
	p.Runtime = split.New(split.Options{Here: here, There: p.there})
	l := p.watch(t.Context())
	l.until(t, "synced", synced)
	shut := make(chan error, 1)
	go func() { shut <- p.Shutdown(t.Context()) }() // ends with end
	<-here.begun                                    // the other one has ended
	select {
	case err := <-l.over:
		t.Errorf("Watch has ended: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(here.end)
	if err := <-shut; err != nil {
		t.Error(err)
	}
	<-l.over
}

func TestNothingThereYet(t *testing.T) {
	here := fake.New(fake.Options{})
	nowhere := runtime.WithHint(fmt.Errorf("nobody has agreed: %w", runtime.Unavailable), "say yes")
	r := split.New(split.Options{Here: here, Nowhere: nowhere})
	_, err := r.Start(t.Context(), runtime.Spec{ID: id("web", 1)})
	if !errors.Is(err, runtime.Unavailable) || runtime.Hint(err) != "say yes" {
		t.Errorf("start: %v", err)
	}
	p := &pair{t: t, here: here, Runtime: r}
	ctx, stop := context.WithCancel(t.Context())
	l := p.watch(ctx)
	l.until(t, "synced", synced)
	stop()
	<-l.over
}

// read returns the lines of a query, and where a reader would go on.
func read(t *testing.T, r *split.Runtime, q runtime.LogQuery) (lines []string, next int64) {
	t.Helper()
	q.Environment, q.Project = "staging", "shop"
	err := r.Logs(t.Context(), q, func(b runtime.LogBlock) error {
		if b.Offset < next {
			t.Errorf("offset %d after %d", b.Offset, next)
		}
		next = b.Offset + int64(len(b.Data))
		lines = append(lines, strings.Split(strings.TrimSuffix(string(b.Data), "\n"), "\n")...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines, next
}

func TestOneLogOfTwo(t *testing.T) {
	p := newPair(t, func(spec runtime.Spec, i runtime.InstanceID) fake.Act {
		return fake.Act{Output: fmt.Sprintf("%s %d\nand more\n", spec.ID.Service, spec.ID.Number)}
	})
	positions := split.NewPositions()
	p.join(positions)
	logged := func(s *runtime.Spec) { s.Log = "web" }
	p.start("web:build", 1, logged)
	p.start("web", 1)
	p.start("web:build", 2, logged)
	p.start("web", 2)
	want := []string{"web:build 1", "and more", "web 1", "and more", "web:build 2", "and more", "web 2", "and more"}
	lines, next := read(t, p.Runtime, runtime.LogQuery{Service: "web"})
	if !slices.Equal(lines, want) {
		t.Errorf("read %q", lines)
	}
	if lines, _ := read(t, p.Runtime, runtime.LogQuery{Service: "web", Last: 3}); !slices.Equal(lines, want[5:]) {
		t.Errorf("the last three lines are %q", lines)
	}
	if err := p.Logs(t.Context(), runtime.LogQuery{Environment: "staging", Project: "shop", Service: "nosuch"}, nil); !errors.Is(err, runtime.NotFound) {
		t.Errorf("of nothing: %v", err)
	}
	for _, known := range []*split.Positions{positions, nil} { // nil: the daemon is another one
		p.join(known)
		from := next
		if known == nil {
			_, from = read(t, p.Runtime, runtime.LogQuery{Service: "web"})
			p.join(nil)
		}
		number := uint64(3)
		if known == nil {
			number = 4
		}
		ctx, stop := context.WithCancel(t.Context())
		var got []string
		done := make(chan error, 1)
		go func() { // ends with ctx
			done <- p.Logs(ctx, runtime.LogQuery{Environment: "staging", Project: "shop", Service: "web", Follow: true, Offset: from}, func(b runtime.LogBlock) error {
				got = append(got, strings.TrimSpace(string(b.Data)))
				if len(got) == 2 {
					stop()
				}
				return nil
			})
		}()
		p.start("web:build", number, logged)
		p.start("web", number)
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatalf("followed %q", got)
		}
		slices.Sort(got)
		if len(got) != 2 || got[0] != fmt.Sprintf("web %d\nand more", number) || got[1] != fmt.Sprintf("web:build %d\nand more", number) {
			t.Errorf("followed %q", got)
		}
		stop()
	}
}
