package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/stead-dev/stead/runtime"
)

// FuzzLoad looks for panics, and for findings without a place.
func FuzzLoad(f *testing.F) {
	archives, _ := filepath.Glob("testdata/*.txtar")
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, one := range archive.Files {
			if strings.HasSuffix(one.Name, ".yaml") {
				f.Add(string(one.Data))
			}
		}
	}
	shop, err := os.ReadFile("../../testdata/shop/stead.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(shop))
	f.Add("include: [b.yaml, {path: [b.yaml, stead.override.yaml], project_directory: x, env_file: .env}]\nservices: {web: {command: a}}")
	dir := f.TempDir()
	write(f, dir, "b.yaml", "include: [stead.yaml]\nservices: {b: {command: b $A, depends_on: [web]}}\n")
	write(f, dir, ".env", "A=1\nB='2'\n")
	write(f, dir, overrideName, `services:
  web: {environment: [A=1, "B=${HOME}"], depends_on: [], ports: {http: 1}, profiles: [p], stop: {grace: 1s}, data: !reset null}
  worker: {env_file: .env, command: !override [a, b], restart: {min: 1s}}
`)
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(dir, FileName)
		if len(text)%2 == 0 {
			file = filepath.Join(dir, "named.yaml") // has no override
		}
		doc := newDocument(file, text, Request{Environment: []string{"HOME=/home/me"}})
		p := doc.project(Request{Gateway: len(text)%3 > 0, AutoPort: func(string, string, string) (int, error) { return 65535, nil }})
		warnings, errors := doc.findings()
		for _, one := range append(warnings, errors...) {
			i := slices.IndexFunc(doc.parts, func(p part) bool { return p.file == one.File })
			if i < 0 && filepath.Ext(one.File) == ".yaml" {
				t.Errorf("%+v is in no file that was read", one)
			}
			if line := doc.line(doc.parts[max(i, 0)].first + one.Line); i >= 0 && (one.Text == "" || one.Column > len(line)+1) {
				t.Errorf("%+v in a line of %d bytes", one, len(line))
			}
		}
		if len(errors) > 0 {
			return
		}
		for name, s := range p.Services {
			if len(s.Spec.Command) == 0 || !filepath.IsAbs(s.Spec.Dir) || s.Plan.Replicas < 1 || s.Plan.Revision == "" {
				t.Errorf("%s: %+v", name, s)
			}
		}
		if len(p.Order) != len(p.Services) {
			t.Errorf("order %v of %d services", p.Order, len(p.Services))
		}
		if _, err := runtime.ParseID(runtime.ID{Environment: local, Project: p.ID, Service: p.Order[0], Number: 1}.String()); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkLoad500 is 500 services of a dozen lines; the budget is 50 ms.
func BenchmarkLoad500(b *testing.B) {
	var text strings.Builder
	text.WriteString("services:\n")
	for i := range 500 {
		fmt.Fprintf(&text, `  service-%d:
    build: go build -o bin/service-%d ./cmd/service-%d
    command: bin/service-%d --level ${LEVEL:-info}
    ports: {http: %d, grpc: auto}
    ready: GET /healthz
    depends_on: [service-%d, service-%d]
    environment:
      LOG_LEVEL: debug
      HOME_DIR: ${HOME}
    restart: {policy: on-failure, min: 100ms, limit: 3}
    stop: {signal: TERM, grace: 5s}
`, i, i, i, i, 20000+i, i/2+i%2, i/3)
	}
	manifest := strings.ReplaceAll(text.String(), "depends_on: [service-0, service-0]", "profiles: [base]")
	manifest = strings.ReplaceAll(manifest, "depends_on: [service-1, service-0]", "depends_on: [service-0]")
	file := write(b, b.TempDir(), FileName, manifest)
	next := 0
	req := Request{File: file, Environment: []string{"HOME=/home/me"}, AutoPort: func(string, string, string) (int, error) { next++; return 30000 + next%30000, nil }}
	for b.Loop() {
		if _, _, err := Load(req); err != nil {
			b.Fatal(err)
		}
	}
}
