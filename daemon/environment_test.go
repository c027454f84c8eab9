package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// withEnv gives a service a variable, and the revision that goes with it.
func withEnv(value string) func(*Service) {
	return func(s *Service) {
		s.Spec.Environment = map[string]string{"LEVEL": value}
		s.Origins = map[string]string{"LEVEL": "/src/shop/.env:1"}
		s.Plan.Revision = s.Name + " " + value
	}
}

// TestRestartReadsEnvFilesAgain: a service that is restarted gets what its env
// files say now, in one generation; others keep what they run with.
func TestRestartReadsEnvFilesAgain(t *testing.T) {
	h := newHome(t, nil, service("api", withEnv("one")), service("web", withEnv("one")))
	h.project.Sources = map[string]string{"/src/shop/stead.yaml": "services"}
	h.up()
	h.eventually("both run", running("api", "web"))
	h.project.Services = map[string]Service{"api": service("api", withEnv("two")), "web": service("web", withEnv("two"))}
	if err := h.Restart(context.Background(), []supervisor.Name{serviceName("shop-1", "api")}); err != nil {
		t.Fatal(err)
	}
	p := h.eventually("generation 2 of api runs", func(p *Present) bool {
		g, ok := p.State.Service(serviceName("shop-1", "api")).Current()
		return ok && g.Number == 2 && g.Phase == supervisor.PhaseReady
	})
	id := runtime.ID{Environment: Local, Project: "shop-1", Service: "api", Number: 2}
	if got := p.Specs[id].Environment["LEVEL"]; got != "two" {
		t.Errorf("generation 2 of api has %q", got)
	}
	if g, _ := p.State.Service(serviceName("shop-1", "web")).Current(); g.Number != 1 || p.Projects["shop-1"].Services["web"].Spec.Environment["LEVEL"] != "one" {
		t.Errorf("web is touched: generation %d, %v", g.Number, p.Projects["shop-1"].Services["web"].Spec.Environment)
	}
	if len(p.State.Service(serviceName("shop-1", "api")).Generations) > 2 {
		t.Error("the restart made more than one generation")
	}
}

func running(names ...string) func(*Present) bool {
	return func(p *Present) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return !p.State.Service(serviceName("shop-1", n)).Ready() })
	}
}

// TestUpInherits: the shell is asked in the directory of the manifest, what
// it says is what services get, and Check remembers it.
func TestUpInherits(t *testing.T) {
	h := newHome(t, nil, service("web", withEnv("one"), func(s *Service) {
		s.Spec.Ports = []runtime.Port{{Name: "http", Number: 9000}}
	}))
	var asked, loaded []string
	load := h.load
	h.find = func(LoadRequest) (string, error) { return "/src/shop/stead.yaml", nil }
	h.inherit = func(_ context.Context, directory string, caller []string) (Inherited, error) {
		asked = append(asked, directory+" "+strings.Join(caller, " "))
		return Inherited{
			Environment: append(slices.Clone(caller), fmt.Sprintf("FROM_SHELL=%d", len(asked))), Shell: []string{"FROM_SHELL"},
			Warnings: []runtime.Diagnostic{{File: "/bin/zsh", Text: "slow"}},
		}, nil
	}
	h.load = func(ctx context.Context, req LoadRequest) (Loaded, error) {
		loaded = req.Environment
		return load(ctx, req)
	}
	r, err := h.Up(context.Background(), UpRequest{Environment: []string{"A=1"}})
	if err != nil || len(r.Warnings) != 1 {
		t.Fatalf("%v, warnings %v", err, r.Warnings)
	}
	if diff := cmp.Diff([]string{"/src/shop A=1"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	h.eventually("web runs", running("web"))

	if _, err := h.Check(context.Background(), UpRequest{Environment: []string{"B=2"}}); err != nil || len(asked) != 1 {
		t.Errorf("check: %v, asked %v", err, asked)
	}
	if diff := cmp.Diff([]string{"B=2", "FROM_SHELL=1"}, loaded); diff != "" {
		t.Errorf("check's environment (-want +got):\n%s", diff)
	}
	want := []Variable{
		{"A", "1", "caller"}, {"FROM_SHELL", "1", "login shell"}, {"LEVEL", "one", "/src/shop/.env:1"},
		{"PORT", "9000", "stead"}, {"PORT_HTTP", "9000", "stead"}, {"PWD", "/src/shop", "stead"},
	}
	name := serviceName("shop-1", "web")
	got, err := h.Env(context.Background(), name)
	if diff := cmp.Diff(want, got.Variables); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := h.RefreshEnvironment(context.Background(), "shop-1", []string{"A=2"}); err != nil {
		t.Fatal(err)
	}
	want[0].Value, want[1].Value = "2", "2"
	got, err = h.Env(context.Background(), name)
	if diff := cmp.Diff(want, got.Variables); diff != "" || err != nil {
		t.Errorf("refreshed: %v (-want +got):\n%s", err, diff)
	}
	if _, err := h.Env(context.Background(), serviceName("shop-1", "x")); !errors.Is(err, runtime.NotFound) {
		t.Errorf("env of nobody: %v", err)
	}
}

// TestTwoProjectsOnePort: the one that is up has it, while it is up.
func TestTwoProjectsOnePort(t *testing.T) {
	port := func(s *Service) { s.Spec.Ports = []runtime.Port{{Name: "http", Number: 9000}} }
	h := newHome(t, nil, service("web", port))
	h.up()
	h.eventually("web runs", running("web"))
	taken := func() string { return h.taken()("shop-2", "web", "http", 9000) }
	if got := taken(); !strings.Contains(got, "9000 is that of shop/web in /src/shop") {
		t.Errorf("taken: %q", got)
	}
	if got := h.taken()("shop-1", "web", "http", 9000); got != "" {
		t.Errorf("a project's own port is taken: %q", got)
	}
	if err := h.Want(context.Background(), []supervisor.Name{serviceName("shop-1", "web")}, false); err != nil {
		t.Fatal(err)
	}
	h.eventually("web is down", func(p *Present) bool { return quiet(p.State.Service(serviceName("shop-1", "web"))) })
	if got := taken(); got != "" {
		t.Errorf("a port of nobody is taken: %q", got)
	}
}

// TestUpsWaitForEachOther: a manifest is read when the one before is applied,
// so that it sees which ports that has.
func TestUpsWaitForEachOther(t *testing.T) {
	h := newHome(t, nil, service("web"))
	reading, load := make(chan struct{}), h.load
	more := make(chan struct{}, 2)
	h.load = func(ctx context.Context, req LoadRequest) (Loaded, error) {
		reading <- struct{}{}
		<-more
		return load(ctx, req)
	}
	done := make(chan error, 2)
	for range 2 {
		go func() { // ends with Up
			_, err := h.Up(context.Background(), UpRequest{})
			done <- err
		}()
	}
	<-reading
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.Up(ctx, UpRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("an up whose caller has gone: %v", err)
	}
	select {
	case <-reading:
		t.Error("two manifests are read at once")
	default:
	}
	more <- struct{}{}
	<-reading
	more <- struct{}{}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := slices.Collect(maps.Keys(h.Present().Projects)); len(got) != 1 {
		t.Errorf("projects %v", got)
	}
}
