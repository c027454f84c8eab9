package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	module = "github.com/stead-dev/stead"
	root   = "../.."
)

// listed is what `go list -json` says of a package, as far as rules need it.
type listed struct {
	ImportPath string
	Name       string
	Imports    []string
	Deps       []string
}

// ours returns the path below the module, and whether p is a package of ours.
func ours(p string) (string, bool) { return strings.CutPrefix(p, module+"/") }

// house lists our packages, once for all tests.
var house = sync.OnceValues(func() ([]listed, error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Imports,Deps", "./...")
	cmd.Dir = root
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, complaint.String())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

func TestDependencies(t *testing.T) {
	packages, err := house()
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 4 {
		t.Fatalf("go list has found %d packages only", len(packages))
	}
	for _, broken := range dependencies(packages) {
		t.Error(broken)
	}
}

// dependencies returns every broken dependency rule, with the reason.
func dependencies(packages []listed) []string {
	var broken []string
	for _, p := range packages {
		path, ok := ours(p.ImportPath)
		if !ok || p.Name == "" { // a folder with tests only
			continue
		}
		r, ok := ruleOf(path)
		if !ok {
			broken = append(broken, path+": no rule says what it may import: add one to rules_table_test.go")
			continue
		}
		broken = append(broken, r.check(path, p)...)
		broken = append(broken, exclusive(path, p)...)
	}
	return broken
}

func ruleOf(path string) (rule, bool) {
	for _, r := range rules() {
		if slices.ContainsFunc(r.packages, func(pattern string) bool { return matches(pattern, path) }) {
			return r, true
		}
	}
	return rule{}, false
}

func (r rule) check(path string, p listed) []string {
	var broken []string
	for _, i := range p.Imports {
		dep, ok := ours(i)
		if !ok || slices.ContainsFunc(r.may, func(pattern string) bool {
			return matches(strings.Replace(pattern, "self/", path+"/", 1), dep)
		}) {
			continue
		}
		allowed := "nothing of ours"
		if len(r.may) > 0 {
			allowed = "only " + strings.Join(r.may, ", ")
		}
		broken = append(broken, fmt.Sprintf("%s imports %s: it may import %s, since arrows point down and edges do not know each other", path, dep, allowed))
	}
	for _, b := range r.never {
		reached, how := p.Deps, "reaches"
		if b.direct {
			reached, how = p.Imports, "imports"
		}
		for _, dep := range reached {
			if under(b.path, dep) {
				broken = append(broken, fmt.Sprintf("%s %s %s: %s", path, how, dep, b.why))
				break
			}
		}
	}
	return broken
}

// exclusive returns direct imports of what belongs to another package.
func exclusive(path string, p listed) []string {
	var broken []string
	for what, owners := range only() {
		if slices.ContainsFunc(owners, func(pattern string) bool { return matches(pattern, path) }) {
			continue
		}
		for _, i := range p.Imports {
			if under(what, i) {
				broken = append(broken, fmt.Sprintf("%s imports %s: only %s does", path, i, strings.Join(owners, ", ")))
			}
		}
	}
	return broken
}

// under reports whether path is what or lies below it. A version counts as
// below: yaml/v4 is under yaml.
func under(what, path string) bool {
	return path == what || strings.HasPrefix(path, what+"/")
}

// matches compares a path with a pattern: * is one element, a final ... is
// any number of them, also none.
func matches(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	for i, w := range want {
		if w == "..." {
			return true
		}
		if i >= len(have) || w != "*" && w != have[i] {
			return false
		}
	}
	return len(want) == len(have)
}

func TestDependencyRulesFindViolations(t *testing.T) {
	own := func(paths ...string) []string {
		for i, p := range paths {
			first, _, _ := strings.Cut(p, "/")
			if slices.Contains([]string{"supervisor", "runtime", "plugins", "daemon", "ipc", "cmd"}, first) {
				paths[i] = module + "/" + p
			}
		}
		return paths
	}
	for _, c := range []struct {
		path          string
		imports, deps []string
		want          string // part of the one complaint; empty: all is well
	}{
		{"supervisor", own("runtime"), nil, "nothing of ours"},
		{"supervisor", own("os"), nil, "pure function"},
		{"supervisor", own("sync/atomic"), nil, "pure function"},
		{"supervisor", own("log/slog"), nil, "pure function"},
		{"supervisor", nil, own("os"), ""}, // fmt drags it along
		{"runtime", nil, own("google.golang.org/grpc/status"), "does not know what carries it"},
		{"runtime", own("runtime/logs"), nil, "nothing of ours"},
		{"runtime/plugin", own("runtime", "runtime/runtimepb", "github.com/hashicorp/go-plugin"), own("google.golang.org/grpc"), ""},
		{"runtime/plugin", own("supervisor"), nil, "may import only runtime"},
		{"runtime/logs", nil, own("go.etcd.io/bbolt"), "plain files"},
		{"plugins/process", own("runtime", "runtime/logs", "plugins/process/cgroup"), nil, ""},
		{"plugins/process/cgroup", own("daemon"), nil, "may import only"},
		{"plugins/process", nil, own("google.golang.org/grpc"), "carrier is runtime/plugin"},
		{"plugins/process", own("plugins/kubernetes"), nil, "edges do not know each other"},
		{"plugins/kubernetes", own("runtime"), own("k8s.io/client-go/rest"), ""},
		{"plugins/kubernetes", own("runtime/logs"), nil, "may import only"},
		{"daemon", own("supervisor", "runtime"), nil, ""},
		{"daemon", own("daemon/state"), nil, "edges do not know each other"},
		{"daemon", own("ipc"), nil, "may import only"},
		{"daemon", nil, own("github.com/hashicorp/go-plugin"), "wire.go"},
		{"daemon/state", own("supervisor", "runtime", "go.etcd.io/bbolt"), own("go.etcd.io/bbolt"), ""},
		{"daemon/state", own("daemon/manifest"), nil, "edges do not know each other"},
		{"daemon/state", own("daemon"), nil, "may import only"},
		{"daemon/dashboard", own("ipc"), nil, ""},
		{"daemon/gateway", own("ipc"), nil, "may import only"},
		{"daemon/gateway", own("go.yaml.in/yaml/v4"), nil, "only daemon/manifest"},
		{"ipc", own("daemon"), nil, "may import only"},
		{"ipc", nil, own("go.etcd.io/bbolt"), "start quickly"},
		{"ipc/mcp", own("ipc/lsp"), nil, "may import only"},
		{"cmd/stead", own("ipc", "ipc/steadpb", "github.com/spf13/cobra"), nil, ""},
		{"cmd/stead", own("daemon/manifest"), nil, "may import only"},
		{"cmd/stead", nil, own("go.yaml.in/yaml/v4"), "must not pay"},
		{"cmd/stead", nil, own("go.etcd.io/bbolt/errors"), "must not pay"},
		{"cmd/steadd", own("daemon", "daemon/state", "ipc", "runtime/plugin"), own("go.etcd.io/bbolt", "google.golang.org/grpc"), ""},
		{"cmd/steadd", nil, own("k8s.io/client-go/rest"), "binary of its own"},
		{"cmd/steadd", own("github.com/hashicorp/go-plugin"), nil, "only runtime/plugin"},
		{"cmd/stead-runtime-process", nil, own("go.etcd.io/bbolt"), "must stay small"},
		{"cmd/stead-runtime-process", own("supervisor"), nil, "may import only"},
		{"cmd/stead-runtime-kubernetes", own("runtime/plugin", "plugins/kubernetes"), own("k8s.io/client-go/rest"), ""},
		{"cmd/stead-gateway", own("daemon/registry"), nil, "may import only"},
		{"surprise", nil, nil, "no rule says"},
	} {
		broken := dependencies([]listed{{ImportPath: module + "/" + c.path, Name: "x", Imports: c.imports, Deps: c.deps}})
		switch {
		case c.want == "" && len(broken) > 0:
			t.Errorf("%s with %v, %v: %v", c.path, c.imports, c.deps, broken)
		case c.want != "" && (len(broken) != 1 || !strings.Contains(broken[0], c.want)):
			t.Errorf("%s with %v, %v: complaints %q, want one with %q", c.path, c.imports, c.deps, broken, c.want)
		}
	}
}
