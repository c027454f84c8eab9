package kubernetes

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/stead-dev/stead/runtime"
)

var update = flag.Bool("update", false, "write testdata/golden anew")

func webSpec() runtime.Spec {
	return runtime.Spec{
		ID:      runtime.ID{Environment: "staging", Project: "shop", Service: "web", Number: 7},
		Command: []string{"bin/web", "--say", "$(HOME)"}, Dir: "/src/shop",
		Environment: map[string]string{"LOG_LEVEL": "debug", "TOKEN": "s3cret", "odd name": "x $(PORT)"}, Secrets: []string{"TOKEN"},
		Replicas: 3,
		Ports:    []runtime.Port{{Name: "http", Protocol: "http", Published: 80}, {Name: "admin", Number: 9000}},
		Ready:    &runtime.Probe{Kind: runtime.ProbeHTTP, Port: "http", Path: "/ready"}, ReadyTimeout: 30 * time.Second,
		Live:     &runtime.Probe{Kind: runtime.ProbeGRPC, Port: "admin", Service: "live", Interval: 5 * time.Second, Failures: 2, Timeout: 1500 * time.Millisecond},
		Limits:   runtime.Limits{Memory: 256 << 20, MilliCPU: 500},
		Requests: runtime.Limits{Memory: 64 << 20},
		Restart:  runtime.Restart{Policy: runtime.RestartOnFailure, Limit: 5, Window: time.Minute},
		Stop:     runtime.Stop{Signal: "TERM", Grace: 10 * time.Second},
		Package:  &runtime.Package{Root: "/app"},
	}
}

func TestObjects(t *testing.T) {
	db := webSpec()
	db.ID.Service, db.ID.Number, db.Replicas, db.Package, db.Image = "db", 1, 1, nil, "postgres:17"
	db.Command, db.Environment, db.Secrets, db.Live = nil, nil, nil, nil
	db.Ports = []runtime.Port{{Name: "sql", Number: 5432}}
	db.Ready = &runtime.Probe{Kind: runtime.ProbeExec, Command: []string{"pg_isready"}, Interval: 2 * time.Second}
	db.Data = map[string]string{"pg": "/var/lib/postgresql/data"}
	db.Restart.Policy = runtime.RestartAlways
	db.Patch = `{"Deployment": {"spec": {"template": {"spec": {"priorityClassName": "high", "containers": [{"name": "db", "args": ["-c", "fsync=on"]}]}}}},
		"PersistentVolumeClaim": {"spec": {"resources": {"requests": {"storage": "20Gi"}}}}}`
	job := webSpec()
	job.ID.Service, job.OneShot, job.Replicas, job.Ports, job.Ready, job.Live = "migrate", true, 1, nil, nil, nil
	job.Patch = `{"Pod": {"metadata": {"annotations": {"team": "data"}}, "spec": {"nodeSelector": {"disk": "ssd"}}}}`
	for name, spec := range map[string]runtime.Spec{"web": webSpec(), "db": db, "migrate": job} {
		p, err := newPlan(spec, "registry.example/"+name+"@sha256:0123")
		if err != nil {
			t.Fatal(err)
		}
		objects, err := p.objects()
		if err != nil {
			t.Fatal(err)
		}
		if len(p.ports) > 0 {
			o, err := one("Service", service(spec.ID, p.ports)).finish(nil)
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, o)
		}
		text := ""
		for _, o := range objects {
			y, err := yaml.JSONToYAML(o.json())
			if err != nil {
				t.Fatal(err)
			}
			text += "---\n" + string(y)
		}
		path := filepath.Join("testdata", "golden", name+".yaml")
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), text); diff != "" {
			t.Errorf("%s (go test -run TestObjects -update writes it anew):\n%s", path, diff)
		}
		if strings.Count(text, "s3cret") > 0 {
			t.Errorf("%s: a secret's value can be read", name)
		}
	}
}

func TestPatchErrors(t *testing.T) {
	for patch, want := range map[string]string{
		`{"Deployement": {}}`: `unknown kind "Deployement"`,
		`{"Job": {}}`:         "it is a Deployment, and has no Job to patch",
		`{"Deployment": {"spec": {"replica": 3}}}`:       `unknown field "spec.replica"`,
		`{"Deployment": {"spec": {"replicas": "x"}}}`:    "replicas",
		`{"Pod": {"spec": {"containers": [{"nam":1}]}}}`: `unknown field "spec.containers[0].nam"`,
		`[]`: "cannot unmarshal",
	} {
		spec := webSpec()
		spec.Patch = patch
		_, err := objectsOf(spec)
		if err == nil || !strings.Contains(err.Error(), want) || runtime.Class(err) != runtime.Invalid {
			t.Errorf("%s: %v, want %q", patch, err, want)
		}
	}
}

// What a patch says of name and labels is not heeded: nobody would find the
// object again.
func TestPatchKeepsIdentity(t *testing.T) {
	spec := webSpec()
	spec.Patch = `{"Deployment": {"metadata": {"name": "other", "labels": {"stead.dev/service": "other", "team": "a"}}}}`
	objects, err := objectsOf(spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.kind == "Deployment" {
			labels := o.meta()["labels"].(map[string]any)
			if o.name != "web-7" || labels[labelService] != "web" || labels["team"] != "a" {
				t.Errorf("%s %v", o.name, labels)
			}
		}
	}
}

func objectsOf(spec runtime.Spec) ([]object, error) {
	p, err := newPlan(spec, "x")
	if err != nil {
		return nil, err
	}
	return p.objects()
}
