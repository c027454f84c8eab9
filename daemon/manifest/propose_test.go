package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestPropose makes a manifest for each tree of testdata/propose, which is the
// file want in it, with what is found as its first lines. Each can be read.
func TestPropose(t *testing.T) {
	trees, err := filepath.Glob("testdata/propose/*.txtar")
	if err != nil || len(trees) == 0 {
		t.Fatalf("testdata: %d trees, %v", len(trees), err)
	}
	for _, path := range trees {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "shop")
			want, files := "", []txtar.File{}
			for _, f := range archive.Files {
				if f.Name == "want" {
					want = string(f.Data)
					continue
				}
				files = append(files, f)
				write(t, dir, f.Name, string(f.Data))
			}
			text, found := Propose(dir)
			got := "found " + strings.Join(found, "\nfound ") + "\n" + text
			if *update {
				archive.Files = append(files, txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
			write(t, dir, FileName, text)
			_, _, err = Load(Request{Directory: dir, Gateway: true, AutoPort: func(string, string, string) (int, error) { return 20001, nil }})
			if err != nil && !strings.Contains(err.Error(), "has no services") && !strings.Contains(err.Error(), "20001") {
				t.Error(err)
			}
		})
	}
}

func TestProposeNothing(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"package.json": "not json", "compose.yaml": "services: [", "Procfile": "nothing\n", "go.mod": "module x\n", "a.go": "package a\n", "main_test.go": "package main\n",
	} {
		write(t, dir, name, text)
	}
	if text, found := Propose(dir); text != "" || found != nil {
		t.Errorf("%q, %q", text, found)
	}
	if text, found := Propose(filepath.Join(dir, "gone")); text != "" || found != nil {
		t.Errorf("%q, %q", text, found)
	}
}

// FuzzProposeCompose: whatever is in a compose file, what is proposed is YAML
// with no unknown keys.
func FuzzProposeCompose(f *testing.F) {
	trees, _ := filepath.Glob("testdata/propose/*.txtar")
	for _, path := range trees {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, one := range archive.Files {
			f.Add(one.Name, string(one.Data))
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name, text string) {
		file := "compose.yaml"
		if strings.Contains(name, "Procfile") {
			file = "Procfile"
		}
		path := write(t, dir, file, text)
		defer func() { _ = os.Remove(path) }()
		proposed, _ := Propose(dir)
		if proposed == "" {
			return
		}
		doc := newDocument(filepath.Join(dir, "x", FileName), proposed, Request{})
		doc.project(Request{Gateway: true})
		_, errors := doc.findings()
		for _, one := range errors {
			if strings.Contains(one.Text, "not valid YAML") || strings.Contains(one.Text, "unknown key") {
				t.Errorf("%s in:\n%s", one.Text, proposed)
			}
		}
	})
}
