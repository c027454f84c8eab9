package manifest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

const clustered = `
name: my.shop
services:
  db:
    command: postgres -D ./data
    ports: {db: 5432}
    data: {pg: ./data}
  migrate: {build: make migrate, command: bin/migrate --now, restart: no, depends_on: [db]}
  api:
    build: go build -o bin/api ./api
    command: ["./bin/api", "--conf=x", "${PWD}/conf/api.toml"]
    image: {files: [conf]}
    ports: {http: 9001, grpc: auto, admin: "9100:3000"}
    ready: GET /healthz
    depends_on: {migrate: {condition: service_completed_successfully}}
    environment: {LOG_LEVEL: debug, API_TOKEN: t, PLAIN: a}
    env_file: app.env
    limits: {memory: 512Mi, cpus: 0.5}
    requests: {memory: 128Mi, cpus: 0.1}
    kubernetes: {Deployment: {spec: {minReadySeconds: 3, paused: "${NO:-false}", label: "1"}}}
  web:
    command: node server.js
    image: {base: "node:22", files: [server.js, public]}
    ports: {http: 9000}
    depends_on: [api]
  worker: {build: [go, build, -o, bin/worker, ./worker], command: bin/worker, terminal: true}
environments:
  staging:
    context: team
    kubeconfig: kube/config
    registry: registry.example.dev/team
    platforms: [linux/amd64, linux/arm64]
    environment: {LOG_LEVEL: info, FROM: "${DOT}"}
    services:
      db: {image: "postgres:17", data: {pg: /var/lib/postgresql/data}, environment: [PGDATA=/var/lib/postgresql/data/pg]}
      web: {replicas: 3}
  dev: {watch: true, namespace: mine, load: "ctr -n k8s.io"}
`

// loadFor loads a manifest for one of its environments.
func loadFor(t *testing.T, target, text string) *Project {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	write(t, dir, FileName, text)
	write(t, dir, "app.env", "FROM_FILE=file\nPLAIN=secret\n")
	write(t, dir, ".env", "DOT=all\n")
	write(t, dir, ".env.staging", "DOT=there\n")
	write(t, dir, ".env.local", "DOT=home\n")
	p, _, err := Load(Request{
		Directory: dir, Target: target, Environment: []string{"KUBECONFIG=/home/me/kube", "PWD=" + dir},
		Secret: func(name, _ string) bool { return strings.Contains(name, "TOKEN") },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTarget compares all that is made of a manifest for an environment with
// testdata/cluster.json.
func TestTarget(t *testing.T) {
	p := loadFor(t, "staging", clustered)
	specs := map[string]any{"target": p.Target}
	for name, s := range p.Services {
		s.Spec.ID.Project = "ID"
		out := map[string]any{"spec": s.Spec, "urls": s.URLs, "reload": s.Plan.Reload, "published": s.Published, "watch": s.Watch.Mode}
		if s.Build != nil {
			s.Build.ID.Project = "ID"
			out["build"] = s.Build
		}
		specs[name] = out
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(specs); err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(text.String(), p.Directory, "DIR")
	const golden = "testdata/cluster.json"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTargetAlone looks at what an environment leaves to defaults.
func TestTargetAlone(t *testing.T) {
	p := loadFor(t, "dev", strings.Replace(clustered, "command: postgres -D ./data", "command: postgres\n    image: {base: postgres}", 1))
	want := Target{Name: "dev", Runtime: RuntimeKubernetes, Namespace: "mine", Load: "ctr -n k8s.io", Watch: true}
	if diff := cmp.Diff(&want, p.Target); diff != "" {
		t.Errorf("target (-want +got):\n%s", diff)
	}
	api := p.Services["api"]
	if api.Watch.Mode != WatchAuto || !strings.Contains(strings.Join(api.Watch.Ignore, " "), "/bin/api") {
		t.Errorf("watch is %+v", api.Watch)
	}
	if diff := cmp.Diff([]string{"go", "build", "-o", "bin/api", "./api"}, api.Build.Command); diff != "" {
		t.Errorf("build (-want +got):\n%s", diff)
	}
	if arch := api.Build.Environment["GOARCH"]; arch != goruntime.GOARCH || api.Build.Environment["CGO_ENABLED"] != "0" {
		t.Errorf("built for %s, in %v", arch, api.Build.Environment)
	}
	if at := p.Services["db"].Spec.Data["pg"]; at != "/app/data" || p.Services["db"].Plan.Reload != supervisor.ReloadRestart {
		t.Errorf("data at %q", at)
	}
	dir := t.TempDir()
	home, _, err := Load(Request{File: write(t, dir, FileName, strings.ReplaceAll(clustered, "env_file: app.env", "")), Gateway: true,
		AutoPort: func(string, string, string) (int, error) { return 20000, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if home.Target != nil || len(home.Environments) != 2 || home.Environments[1].Name != "dev" {
		t.Errorf("at home there are %+v, target %v", home.Environments, home.Target)
	}
	if s := home.Services["api"].Spec; s.Package != nil || s.Patch != "" || s.Requests != (runtime.Limits{}) || s.Ports[0].Published != 0 {
		t.Errorf("at home the spec is %+v", s)
	}
}

// TestRemote has services that run somewhere else: nobody waits for them, and
// they are found where they are.
func TestRemote(t *testing.T) {
	file := write(t, t.TempDir(), FileName, `
services:
  migrate: {command: migrate, restart: no}
  api: {command: api, ports: {http: 9001, grpc: 9002}}
  db: {command: db, ports: {db: 5432}}
  web: {command: web, depends_on: [migrate, api, db]}
`)
	p, _, err := Load(Request{File: file, Gateway: true, Remote: map[string]map[string]string{
		"migrate": {}, "api": {"http": "127.0.0.1:40001", "grpc": "127.0.0.1:40002"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	web := p.Services["web"]
	if needs := web.Plan.DependsOn; len(needs) != 1 || needs[0].Service != "db" {
		t.Errorf("it waits for %+v", needs)
	}
	for name, want := range map[string]string{
		"STEAD_API_URL": "http://127.0.0.1:40001", "STEAD_API_GRPC_URL": "grpc://127.0.0.1:40002", "STEAD_DB_URL": "tcp://127.0.0.1:5432",
	} {
		if got := web.Spec.Environment[name]; got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
