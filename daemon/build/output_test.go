package build

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stead-dev/stead/runtime"
)

var update = flag.Bool("update", false, "write what is found to testdata/output/*.want")

// dirs says where the recorded commands ran, by what their files begin with.
var dirs = map[string]string{
	"go-mod.": "/src/go/mod", "go-mod-": "/src/go/mod2", "go": "/src/go", "cargo": "/src/rs", "rust": "/src/rs", "python": "/src/py",
	"java": "/src/java", "node": "/src/js", "tsc": "/src/js", "es": "/src/js", "vite": "/src/js", "documented": "/src/x",
}

func dirOf(name string) string {
	dir, longest := "/src/c", 0
	for prefix, d := range dirs {
		if strings.HasPrefix(name, prefix) && len(prefix) > longest {
			dir, longest = d, len(prefix)
		}
	}
	return dir
}

// TestOutput reads what real tools print: testdata/output holds recordings of
// Go 1.26, gcc 12, GNU make and ld, rustc 1.95, javac 17, CPython 3.11,
// Node 20, TypeScript, esbuild, ESLint and Vite; documented.txt is by hand,
// from the manuals of tools that were not at hand.
func TestOutput(t *testing.T) {
	files, err := filepath.Glob("testdata/output/*.txt")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := show(Diagnostics(string(text), Options{Dir: dirOf(name)}))
			golden := strings.TrimSuffix(file, ".txt") + ".want"
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
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// show is a diagnostic per paragraph.
func show(found []runtime.Diagnostic) string {
	var b strings.Builder
	for _, d := range found {
		end := ""
		if d.EndColumn != 0 {
			end = fmt.Sprintf("-%d:%d", d.EndLine, d.EndColumn)
		}
		tool := strings.TrimSpace(d.Tool + " " + d.Code)
		fmt.Fprintf(&b, "%s%s: %s [%s] %s\n", d.Position(), end, d.Severity, tool, strings.ReplaceAll(d.Text, "\n", "\n    "))
		if d.Source != "" {
			fmt.Fprintf(&b, "    | %s\n", d.Source)
		}
	}
	return b.String()
}
