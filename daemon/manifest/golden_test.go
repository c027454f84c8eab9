package manifest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/stead-dev/stead/runtime"
)

var update = flag.Bool("update", false, "write the findings into testdata")

// TestFindings reads every manifest NAME.yaml of testdata/*.txtar and compares
// what is found with NAME.want beside it. There is a gateway, but for those of
// direct.txtar; those of cluster.txtar are for an environment.
func TestFindings(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("testdata: %d archives, %v", len(archives), err)
	}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		var cases []txtar.File
		for _, f := range archive.Files {
			if name, ok := strings.CutSuffix(f.Name, ".want"); ok {
				want[name] = string(f.Data)
			} else {
				cases = append(cases, f)
			}
		}
		archive.Files = nil
		for _, c := range cases {
			name := strings.TrimSuffix(c.Name, ".yaml")
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar")+"/"+name, func(t *testing.T) {
				got := findings(t, string(c.Data), filepath.Base(path))
				archive.Files = append(archive.Files, c, txtar.File{Name: name + ".want", Data: []byte(got)})
				if diff := cmp.Diff(want[name], got); diff != "" && !*update {
					t.Errorf("findings (-want +got):\n%s", diff)
				}
			})
		}
		if *update {
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// findings loads a manifest and writes what is found, one line each, with the
// service in brackets and the hint below it.
func findings(t *testing.T, text, archive string) string {
	dir := t.TempDir()
	write(t, dir, FileName, text)
	write(t, dir, "broken.env", "A=1\nSECRET='never shown\n")
	next := 20000
	target := ""
	if archive == "cluster.txtar" {
		target = "staging"
	}
	_, warnings, err := Load(Request{
		Gateway:     archive != "direct.txtar",
		Target:      target,
		Directory:   dir,
		Environment: []string{"HOME=/home/me"},
		AutoPort:    func(string, string, string) (int, error) { next++; return next, nil },
	})
	errors, ok := err.(runtime.Diagnostics)
	if err != nil && !ok {
		t.Fatalf("error is %T: %v", err, err)
	}
	var out strings.Builder
	for _, one := range append(warnings, errors...) {
		file, line, _ := strings.Cut(filepath.Base(one.Position()), ":")
		if file != FileName {
			line = file + ":" + line
		}
		fmt.Fprintf(&out, "%s: %s: %s", line, one.Severity, one.Text)
		if one.Service != "" {
			fmt.Fprintf(&out, " [%s]", one.Service)
		}
		out.WriteString("\n")
		if one.Hint != "" {
			fmt.Fprintf(&out, "\t%s\n", one.Hint)
		}
		if one.Line > 0 && file == FileName && one.Source != strings.Split(text, "\n")[one.Line-1] {
			t.Errorf("%s: source is %q", one.Position(), one.Source)
		}
		if strings.Contains(one.Text+one.Source+one.Hint, "never shown") {
			t.Errorf("%s: a secret is shown", one.Position())
		}
	}
	return strings.ReplaceAll(out.String(), dir, "DIR")
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
