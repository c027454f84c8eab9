package daemon

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/supervisor"
)

func wish(service string, number uint64, command string) buildWish {
	id := supervisor.ID{Name: serviceName("shop-1", service), Number: number}
	return buildWish{id, runtime.Spec{Command: []string{command}, Log: service}, time.Minute}
}

func started(wishes []buildWish) []string {
	var list []string
	for _, w := range wishes {
		list = append(list, fmt.Sprintf("%s/%d", w.id.Service, w.id.Number))
	}
	return list
}

func nobody(supervisor.Name) bool { return false }

func TestBuildsAreBoundedAndHeldServicesFirst(t *testing.T) {
	b := newBuilds(1)
	for _, name := range []string{"db", "api", "web"} {
		b.add(wish(name, 1, name))
	}
	web := func(n supervisor.Name) bool { return n.Service == "web" }
	var order []string
	for range 4 {
		for _, w := range b.next(web) {
			order = append(order, started([]buildWish{w})...)
			if more := b.next(web); len(more) > 0 {
				t.Errorf("%v beside another one", started(more))
			}
			b.over(w.id)
		}
	}
	if !slices.Equal(order, []string{"web/1", "db/1", "api/1"}) {
		t.Errorf("%v", order)
	}
}

func TestTheSameBuildRunsOnceForAllThatWait(t *testing.T) {
	b := newBuilds(4)
	api, web, late := wish("api", 1, "make"), wish("web", 1, "make"), wish("late", 1, "make")
	b.add(api)
	b.add(web)
	b.add(web) // said again
	if got := started(b.next(nobody)); !slices.Equal(got, []string{"api/1"}) {
		t.Errorf("started %v", got)
	}
	if got := b.wanting(api.id); !slices.Equal(got, []supervisor.ID{api.id, web.id}) {
		t.Errorf("for %v", got)
	}
	b.add(late) // what was saved since may not be in the one that runs
	if got := started(b.next(nobody)); len(got) > 0 {
		t.Errorf("the same build runs twice at once: %v", got)
	}
	b.cancel(api.id)
	if end := b.unwanted(time.Time{}); len(end) > 0 {
		t.Errorf("%v was ended, and web waits for it", end)
	}
	b.cancel(web.id)
	if end := b.unwanted(time.Time{}); !slices.Equal(end, []supervisor.ID{api.id}) {
		t.Errorf("ended %v", end)
	}
	if got := b.wanting(api.id); len(got) != 0 {
		t.Errorf("a build that was given up is for %v", got)
	}
	b.over(api.id)
	if got := started(b.next(nobody)); !slices.Equal(got, []string{"late/1"}) {
		t.Errorf("started %v", got)
	}
}

func TestABuildThatIsFoundRunningIsTakenOverOrEnded(t *testing.T) {
	b := newBuilds(1)
	now := time.Unix(1000, 0)
	web, old := wish("web", 2, "make"), wish("web", 1, "make")
	b.runs(old.id, now)
	b.runs(web.id, now)
	b.add(web)
	if got := started(b.next(nobody)); len(got) > 0 {
		t.Errorf("started %v", got)
	}
	if end := b.unwanted(now); !slices.Equal(end, []supervisor.ID{old.id}) {
		t.Errorf("ended %v", end)
	}
	if at := b.wake(); !at.Equal(now.Add(time.Minute)) {
		t.Errorf("looks again at %v", at)
	}
	if end := b.unwanted(now.Add(time.Minute)); !slices.Equal(end, []supervisor.ID{web.id}) {
		t.Errorf("ended %v", end)
	}
	if text := b.overdueText(web.id); text != "build did not end within 1m" {
		t.Errorf("%q", text)
	}
	if !b.wake().IsZero() {
		t.Error("looks for ever")
	}
}

// TestABuildThatHangsIsEnded: it is the runtime that runs it, and the daemon
// that loses its patience.
func TestABuildThatHangsIsEnded(t *testing.T) {
	h := newHome(t, nil, service("web", built, func(s *Service) { s.BuildTimeout = 50 * time.Millisecond }))
	h.up()
	p := h.eventually("web failed", phase("web", supervisor.PhaseFailed))
	if cause := p.State.Service(serviceName("shop-1", "web")).Why(); cause.Text != "build did not end within 50ms" || cause.Kind != supervisor.CauseBuild {
		t.Errorf("%+v", cause)
	}
}

// TestABuildThatIsGivenUpSaysNothing: its output is about files that were saved
// again since.
func TestABuildThatIsGivenUpSaysNothing(t *testing.T) {
	script := func(spec runtime.Spec, i runtime.InstanceID) fake.Act {
		if spec.Command[0] == "build" && i.ID.Number > 1 {
			return fake.Act{Exit: &runtime.Exit{}}
		}
		return fake.Act{Output: "no semicolon\n"} // goes on until it is stopped
	}
	h := newHome(t, script, service("web", built))
	h.detach()
	h.diagnosing = diagnoseLines
	h.start()
	h.up()
	h.eventually("the build runs", func(*Present) bool { return slices.Contains(h.started(), "web:build/1") })
	name := serviceName("shop-1", "web")
	_ = h.tell(t.Context(), message{event: supervisor.Changed{Names: []supervisor.Name{name}, Trigger: "main.go changed"}})
	p := h.eventually("web ready", phase("web", supervisor.PhaseReady))
	if len(p.Diagnostics[name]) > 0 || !slices.Contains(h.started(), "web:build/2") {
		t.Errorf("%v, started %v", p.Diagnostics[name], h.started())
	}
}

// lines is a Diagnoser that takes each line for an error.
type lines struct {
	Output
	text []byte
}

func (l *lines) Write(data []byte) (int, error) {
	l.text = append(l.text, data...)
	return len(data), nil
}

func (l *lines) Diagnostics() ([]runtime.Diagnostic, int) {
	if len(l.text) == 0 {
		return nil, 0
	}
	return []runtime.Diagnostic{{
		File: "/src/shop/main.go", Line: 3, Column: 1, Severity: runtime.SeverityError, Text: string(l.text[:len(l.text)-1]),
		Service: l.Service.Name, Generation: l.Generation, Cause: l.Cause,
	}}, 0
}

func diagnoseLines(o Output) Diagnoser { return &lines{Output: o} }

// TestDiagnosticsComeAndGo: with a build that fails and a program that dies,
// and until a newer one is good.
func TestDiagnosticsComeAndGo(t *testing.T) {
	script := func(spec runtime.Spec, i runtime.InstanceID) fake.Act {
		switch {
		case spec.Command[0] == "build" && i.ID.Number == 1:
			return fake.Act{Output: "no semicolon\n", Exit: &runtime.Exit{Code: 1}}
		case spec.Command[0] == "build":
			return fake.Act{Exit: &runtime.Exit{}}
		case i.ID.Number == 2:
			return fake.Act{Output: "no luck\n", Exit: &runtime.Exit{Code: 2}}
		}
		return fake.Act{}
	}
	h := newHome(t, script, service("web", built))
	h.detach()
	h.diagnosing = diagnoseLines
	h.start()
	name := serviceName("shop-1", "web")
	says := func(text string) func(*Present) bool {
		return func(p *Present) bool {
			list := p.Diagnostics[name]
			return text == "" && len(list) == 0 || len(list) == 1 && list[0].Text == text
		}
	}
	h.up()
	p := h.eventually("what does not build", says("no semicolon"))
	if cause := p.State.Service(name).Why(); cause.Text != "build failed: main.go:3:1: no semicolon" {
		t.Errorf("%+v", cause)
	}
	change := func() {
		_ = h.tell(t.Context(), message{event: supervisor.Changed{Names: []supervisor.Name{name}, Trigger: "main.go changed"}})
	}
	change()
	p = h.eventually("where it died", says("no luck"))
	if d := p.Diagnostics[name][0]; d.Generation != 2 || d.Cause != "main.go changed" {
		t.Errorf("%+v", d)
	}
	h.detach()
	h.start()
	h.eventually("where it died, to the next daemon", says("no luck"))
	change()
	p = h.eventually("all is well", func(p *Present) bool { return says("")(p) && p.State.Service(name).Ready() })
	if r := p.Reloads[name]; r.Generation != 3 || r.Outcome != ReloadReady || r.Trigger != "main.go changed" || r.Built.IsZero() || r.Ended.Before(r.Began) {
		t.Errorf("%+v", r)
	}
}
