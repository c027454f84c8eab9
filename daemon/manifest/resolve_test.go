package manifest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// load writes a manifest and loads it from a directory below it.
func load(t testing.TB, text string, environ ...string) *Project {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	write(t, dir, FileName, text)
	write(t, dir, "app.env", "FROM_FILE=file\nBOTH=file\n")
	write(t, dir, ".env", "DOT=dot\nCALLER=dot\n")
	below := filepath.Join(dir, "some", "where")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	p, _, err := Load(Request{Directory: below, Environment: environ,
		AutoPort: func(project, service, port string) (int, error) { return 20000 + len(service+port), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestResolve reads one manifest with most of what there is.
func TestResolve(t *testing.T) {
	p := load(t, `
services:
  web:
    build: go build -o bin/web ./web
    command: bin/web --title 'my shop'
    working_dir: app
    ports: {http: 9000, admin: {port: 9009, protocol: http}}
    ready: GET /healthz
    depends_on:
      cart: {restart: true}
      migrate: {condition: service_completed_successfully}
      worker:
    environment: {LOG: "${LEVEL:-debug}", BOTH: own, DEBUG: no, DOT: "${DOT}", CALLER: "${CALLER}", PASSED: }
    env_file: app.env
    stop: {signal: SIGINT, grace: 3s}
    profiles: [front]
  migrate: {command: [./migrate, ""]}
  cart: {command: cart, ports: {grpc: auto}, restart: {policy: always, min: 1s, limit: 0}, tty: true}
  worker: {command: a | b, shell: true, replicas: 3, reload: overlap, snapshot: true}
`, "CALLER=caller", "PASSED=on", "OTHER=x")

	dir := p.Directory
	defaults := runtime.Restart{Policy: runtime.RestartOnFailure, Min: 100 * time.Millisecond, Max: 30 * time.Second, Limit: 5, Window: time.Minute}
	term := runtime.Stop{Signal: "TERM", Grace: 10 * time.Second}
	id := func(service string) runtime.ID {
		return runtime.ID{Environment: "local", Project: p.ID, Service: service}
	}
	declared := map[string]string{"LOG": "debug", "BOTH": "own", "DEBUG": "no", "FROM_FILE": "file", "DOT": "dot", "CALLER": "caller", "PASSED": "on"}
	all := map[string]string{"STEAD_CART_URL": "grpc://127.0.0.1:20008", "STEAD_CART_GRPC_URL": "grpc://127.0.0.1:20008"}
	for k, v := range declared {
		all[k] = v
	}
	once := defaults
	once.Policy = runtime.RestartNo
	want := map[string]Service{
		"web": {
			Name: "web", Profiles: []string{"front"},
			URLs: []string{"http://127.0.0.1:9000", "http://127.0.0.1:9009"}, BuildTimeout: 10 * time.Minute,
			Plan: supervisor.Plan{Build: true, Reload: supervisor.ReloadRestart, Replicas: 1, DependsOn: []supervisor.Dependency{
				{Service: "cart", Condition: supervisor.ConditionHealthy, Restart: true},
				{Service: "migrate", Condition: supervisor.ConditionCompleted},
				{Service: "worker", Condition: supervisor.ConditionStarted},
			}},
			Spec: runtime.Spec{
				ID: id("web"), Command: []string{"bin/web", "--title", "my shop"}, Dir: filepath.Join(dir, "app"), Environment: all, Replicas: 1,
				Ports:        []runtime.Port{{Name: "http", Number: 9000, Protocol: "http"}, {Name: "admin", Number: 9009, Protocol: "http"}},
				Ready:        &runtime.Probe{Kind: runtime.ProbeHTTP, Port: "http", Path: "/healthz"},
				ReadyTimeout: time.Minute, Restart: defaults, Stop: runtime.Stop{Signal: "INT", Grace: 3 * time.Second}, Snapshot: true,
			},
			Build: &runtime.Spec{
				ID: id("web:build"), Log: "web", Command: []string{"go", "build", "-o", "bin/web", "./web"}, Dir: filepath.Join(dir, "app"),
				Environment: declared, Replicas: 1, Restart: runtime.Restart{Policy: runtime.RestartNo}, Stop: term,
			},
		},
		"migrate": {
			Name: "migrate",
			Plan: supervisor.Plan{OneShot: true, Reload: supervisor.ReloadRestart, Replicas: 1},
			Spec: runtime.Spec{ID: id("migrate"), Command: []string{"./migrate", ""}, Dir: dir, Environment: map[string]string{}, Replicas: 1, Restart: once, Stop: term},
		},
		"cart": {
			Name: "cart", URLs: []string{"grpc://127.0.0.1:20008"},
			Plan: supervisor.Plan{Reload: supervisor.ReloadRestart, Replicas: 1},
			Spec: runtime.Spec{
				ID: id("cart"), Command: []string{"cart"}, Dir: dir, Environment: map[string]string{}, Terminal: true, Replicas: 1,
				Ports: []runtime.Port{{Name: "grpc", Number: 20008, Protocol: "http"}},
				Ready: &runtime.Probe{Kind: runtime.ProbeTCP, Port: "grpc"}, ReadyTimeout: time.Minute,
				Restart: runtime.Restart{Policy: runtime.RestartAlways, Min: time.Second, Max: 30 * time.Second, Window: time.Minute}, Stop: term,
			},
		},
		"worker": {
			Name: "worker",
			Plan: supervisor.Plan{Reload: supervisor.ReloadOverlap, Replicas: 3},
			Spec: runtime.Spec{ID: id("worker"), Command: []string{"sh", "-c", "a | b"}, Dir: dir, Environment: map[string]string{}, Replicas: 3, Restart: defaults, Stop: term, Snapshot: true},
		},
	}
	got := map[string]Service{}
	for name, s := range p.Services {
		if s.Build == nil && s.Plan.Revision != s.Spec.Hash() || s.Build != nil && s.Plan.Revision == s.Spec.Hash() {
			t.Errorf("%s: revision %s, spec %s", name, s.Plan.Revision, s.Spec.Hash())
		}
		s.Plan.Revision, s.Origins, s.Taken, s.EnvFiles = "", nil, nil, nil // other tests have those
		s.Published, s.Watch = nil, Watch{}
		got[name] = s
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"cart", "migrate", "worker", "web"}, p.Order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if p.Name != "shop" || !regexp.MustCompile(`^shop-[0-9a-f]{8}$`).MatchString(p.ID) {
		t.Errorf("name %q, id %q", p.Name, p.ID)
	}

	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back Project
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*p, back, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("through JSON (-want +got):\n%s", diff)
	}
}
