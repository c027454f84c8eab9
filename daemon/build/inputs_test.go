package build

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// tree writes an archive to a directory of the test's own.
func tree(t *testing.T, archive string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		write(t, filepath.Join(dir, f.Name), string(f.Data))
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// inputs asks the real go list.
func inputs(t *testing.T, dir string, command ...string) *Inputs {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs: go")
	}
	var all *Inputs
	for _, l := range GoLists(command, dir) {
		cmd := exec.Command(l.Argv[0], l.Argv[1:]...)
		cmd.Dir = l.Dir
		cmd.Env = append(append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=", "GOPROXY=off"), l.Env...)
		var diagnostics bytes.Buffer
		cmd.Stderr = &diagnostics
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", l.Argv, err, diagnostics.Bytes())
		}
		in, err := ReadInputs(bytes.NewReader(out), l)
		if err != nil {
			t.Fatal(err)
		}
		all = all.Union(in)
	}
	return all
}

// TestMonorepo has 30 services: each imports one of five shared packages, all
// of which import one more.
func TestMonorepo(t *testing.T) {
	const services, shared = 30, 5
	dir := tree(t, "-- go.mod --\nmodule example.com/shop\n\ngo 1.24\n-- base/base.go --\npackage base\n\nconst X = 1\n-- README.md --\n")
	for i := range shared {
		write(t, fmt.Sprintf("%s/lib%d/lib.go", dir, i), fmt.Sprintf("package lib%d\n\nimport \"example.com/shop/base\"\n\nconst X = base.X\n", i))
	}
	for i := range services {
		write(t, fmt.Sprintf("%s/svc%d/main.go", dir, i), fmt.Sprintf("package main\n\nimport \"example.com/shop/lib%d\"\n\nfunc main() { println(lib%d.X) }\n", i%shared, i%shared))
		write(t, fmt.Sprintf("%s/svc%d/main_test.go", dir, i), "package main\n")
	}
	all := make([]*Inputs, services)
	for i := range all {
		all[i] = inputs(t, dir, "go", "build", "-o", fmt.Sprintf("bin/svc%d", i), fmt.Sprintf("./svc%d", i))
	}
	affected := func(path string) (found []int) {
		for i, in := range all {
			if in.Affects(filepath.Join(dir, path)) {
				found = append(found, i)
			}
		}
		return found
	}
	for path, want := range map[string]string{
		"svc7/main.go":      "[7]",
		"svc7/new.go":       "[7]",
		"svc7/main_test.go": "[]",
		"svc7/notes.md":     "[]",
		"lib3/lib.go":       "[3 8 13 18 23 28]",
		"lib3/appears.go":   "[3 8 13 18 23 28]",
		"README.md":         "[]",
		"bin/svc7":          "[]",
		"svc7/sub/x.go":     "[]",
	} {
		if got := fmt.Sprint(affected(path)); got != want {
			t.Errorf("%s affects %s, want %s", path, got, want)
		}
	}
	for _, path := range []string{"base/base.go", "go.mod", "go.sum", "go.work"} {
		if got := affected(path); len(got) != services {
			t.Errorf("%s affects %d services: %v", path, len(got), got)
		}
	}
	if in := all[0]; in.Partial || len(in.Directories()) != 3 {
		t.Errorf("directories %v, partial %v", in.Directories(), in.Partial)
	}
}

const workspace = `
-- app/go.mod --
module example.com/app

go 1.24

require example.com/replaced v0.0.0

replace example.com/replaced => ../replaced
-- app/main.go --
package main

import (
	"embed"

	"example.com/replaced"
	"example.com/used/deep"
)

//go:embed page.html static assets/*.css all:hidden
var files embed.FS

func main() { println(replaced.X, deep.X) }
-- app/page.html --
-- app/static/a/b.txt --
-- app/assets/x.css --
-- app/hidden/.x --
-- app/tagged.go --
//go:build special

package main
-- app/windows_only_windows.go --
package main
-- replaced/go.mod --
module example.com/replaced

go 1.24
-- replaced/r.go --
package replaced

const X = 1
-- used/go.mod --
module example.com/used

go 1.24
-- used/deep/d.go --
package deep

const X = 1
-- used/other/o.go --
package other
-- go.work --
go 1.24

use (
	./app
	./used
)
`

func TestWorkspaceReplaceEmbedAndTags(t *testing.T) {
	dir := tree(t, workspace)
	plain := inputs(t, dir+"/app", "go", "build", ".")
	special := inputs(t, dir, "go", "build", "-C", "app", "-tags", "special", ".")
	windows := inputs(t, dir, "env", "GOOS=windows", "go", "build", "-C", "app", ".")
	for _, c := range []struct {
		path                    string
		plain, special, windows bool
	}{
		{"app/main.go", true, true, true},
		{"app/tagged.go", false, true, false},
		{"app/windows_only_windows.go", false, false, true},
		{"app/page.html", true, true, true},
		{"app/other.html", false, false, false},
		{"app/static/a/b.txt", true, true, true},
		{"app/static/new/c.txt", true, true, true},
		{"app/static/.hidden", false, false, false},
		{"app/assets/new.css", true, true, true},
		{"app/assets/new.js", false, false, false},
		{"app/hidden/.new", true, true, true},
		{"app/default.pgo", true, true, true},
		{"replaced/r.go", true, true, true},
		{"replaced/go.mod", true, true, true},
		{"used/deep/d.go", true, true, true},
		{"used/go.mod", true, true, true},
		{"used/other/o.go", false, false, false},
		{"go.work", true, true, true},
		{"go.work.sum", true, true, true},
		{"app/sub/go.work", false, false, false},
		{"app/go.sum", true, true, true},
	} {
		path := filepath.Join(dir, c.path)
		if p, s, w := plain.Affects(path), special.Affects(path), windows.Affects(path); p != c.plain || s != c.special || w != c.windows {
			t.Errorf("%s: %v with tags %v on windows %v, want %v %v %v", c.path, p, s, w, c.plain, c.special, c.windows)
		}
	}
	for _, file := range plain.Files() {
		if !strings.HasPrefix(file, dir) {
			t.Errorf("not of the project: %s", file)
		}
	}
}

func TestVendoredPackagesAreInputs(t *testing.T) {
	dir := tree(t, `
-- go.mod --
module example.com/app

go 1.24

require example.com/v v1.0.0
-- main.go --
package main

import "example.com/v"

func main() { println(v.X) }
-- vendor/modules.txt --
# example.com/v v1.0.0
## explicit; go 1.24
example.com/v
-- vendor/example.com/v/v.go --
package v

const X = 1
`)
	in := inputs(t, dir, "go", "run", ".")
	for _, path := range []string{"main.go", "vendor/modules.txt", "vendor/example.com/v/v.go"} {
		if !in.Affects(filepath.Join(dir, path)) {
			t.Errorf("%s does not count", path)
		}
	}
}

func TestFilesOnTheCommandLine(t *testing.T) {
	dir := tree(t, "-- go.mod --\nmodule m\n-- a.go --\npackage main\n\nfunc main() { b() }\n-- b.go --\npackage main\n\nfunc b() {}\n")
	in := inputs(t, dir, "go", "run", "a.go", "b.go")
	for _, path := range []string{"a.go", "b.go", "go.mod"} {
		if !in.Affects(filepath.Join(dir, path)) {
			t.Errorf("%s does not count", path)
		}
	}
}

// TestBrokenProject has a file that does not parse, and an import that is not
// there yet: what is known counts, and where the package would be.
func TestBrokenProject(t *testing.T) {
	dir := tree(t, "-- go.mod --\nmodule m\n-- main.go --\npackage main\n\nimport \"m/soon\"\n\nfunc main() { soon.F() }\n-- bad.go --\npackage main\n\nfunc (\n")
	in := inputs(t, dir, "go", "build", ".")
	if !in.Partial {
		t.Error("not said to be partial")
	}
	for _, path := range []string{"main.go", "bad.go", "soon/soon.go"} {
		if !in.Affects(filepath.Join(dir, path)) {
			t.Errorf("%s does not count", path)
		}
	}
}

func TestOutdated(t *testing.T) {
	dir := tree(t, workspace)
	in := inputs(t, dir+"/app", "go", "build", ".")
	var h Headers
	const source = "package main\n\nimport \"embed\"\n\nfunc main() {}\n"
	for _, c := range []struct {
		path, source string
		want         bool
	}{
		{"app/main.go", source, true}, // never seen
		{"app/main.go", source + "\n// more\n", false},
		{"app/main.go", "package main\n\nimport (\n\t\"os\"\n\t\"embed\"\n)\n", true},
		{"app/main.go", "package main\n\nimport (\n\t\"embed\"\n\t\"os\"\n)\n\nvar x int\n", false},
		{"app/main.go", "package main\n\nimport (\n", false}, // does not parse
		{"app/main.go", "//go:build linux\n\npackage main\n\nimport (\n\t\"embed\"\n\t\"os\"\n)\n", true},
		{"app/main.go", "//go:build linux\n\npackage main\n\nimport (\n\t\"embed\"\n\t\"os\"\n)\n\n//go:embed x\nvar f embed.FS\n", true},
		{"app/main.go", "", true}, // gone
		{"app/new.go", "package main\n", true},
		{"app/new.go", "package main\n", true}, // still not in the list
		{"app/new_test.go", "package main\n", false},
		{"app/tagged.go", "package main\n", true},
		{"app/tagged.go", "package main\n\nvar x int\n", false},
		{"app/page.html", "<p>", false},
		{"app/go.mod", "module x", true},
		{"app/go.sum", "", false},
		{"go.work", "go 1.24", true},
		{"used/other/o.go", "package other\n", false},
	} {
		var now []byte
		if c.source != "" {
			now = []byte(c.source)
		}
		if got := in.Outdated(&h, filepath.Join(dir, c.path), now); got != c.want {
			t.Errorf("%s with %q: %v, want %v", c.path, c.source, got, c.want)
		}
	}
}

func TestReadInputsRefuses(t *testing.T) {
	for _, text := range []string{"", "{", "[]", "go: cannot find main module", `{"Standard": true, "Dir": "/usr/local/go/src/fmt"}`} {
		if in, err := ReadInputs(strings.NewReader(text), GoList{Dir: "/p"}); err == nil {
			t.Errorf("%q: %v", text, in.Files())
		}
	}
}
