package image

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSBOM: this test is a Go program.
func TestSBOM(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := openTree(filepath.Dir(self))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.close()
	b := readBill(tree, filepath.Base(self))
	if b == nil {
		t.Fatal("no build information")
	}
	text, err := DecodeSBOM(b.label)
	if err != nil {
		t.Fatal(err)
	}
	var doc sbomDocument
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Format != "CycloneDX" || doc.SpecVersion != "1.6" || len(doc.Components) != b.components {
		t.Errorf("document %+v", doc)
	}
	if !strings.HasPrefix(doc.Components[0].URL, "pkg:golang/stdlib@1.") {
		t.Errorf("components %+v", doc.Components)
	}
	if again := readBill(tree, filepath.Base(self)); cmp.Diff(b.label, again.label) != "" {
		t.Error("the label differs from one time to the next")
	}
}

func TestNoSBOM(t *testing.T) {
	tree, err := openTree(project(t))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.close()
	if b := readBill(tree, "bin/api"); b != nil {
		t.Errorf("an SBOM of nothing: %+v", b)
	}
}

func TestDocument(t *testing.T) {
	doc := document(&buildinfo.BuildInfo{
		GoVersion: "go1.26.8", Path: "example.dev/shop/cmd/api", Main: debug.Module{Path: "example.dev/shop", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.dev/z", Version: "v1.2.3+incompatible"},
			{Path: "example.dev/forked", Version: "v1.0.0", Replace: &debug.Module{Path: "example.dev/fork", Version: "v1.0.1"}},
			{Path: "example.dev/local", Version: "v1.0.0", Replace: &debug.Module{Path: "../local"}},
		},
	})
	var got []string
	for _, c := range append(doc.Components, doc.Metadata.Component) {
		got = append(got, c.Name+" "+c.Version+" "+c.URL)
	}
	want := []string{
		"../local  ",
		"example.dev/fork v1.0.1 pkg:golang/example.dev/fork@v1.0.1",
		"example.dev/z v1.2.3+incompatible pkg:golang/example.dev/z@v1.2.3%2Bincompatible",
		"stdlib 1.26.8 pkg:golang/stdlib@1.26.8",
		"example.dev/shop/cmd/api  ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
}
