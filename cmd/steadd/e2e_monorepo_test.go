package main_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// monorepoFiles are a Go module of five services: s0 and s1 are made of
// shared/left too, which is made of shared/base, and s2 of shared/right.
func monorepoFiles() map[string]string {
	files := map[string]string{
		"go.mod":                "module example.test/mono\n\ngo 1.24\n",
		"shared/base/base.go":   "package base\n\nconst Name = \"base\"\n",
		"shared/left/left.go":   "package left\n\nimport \"example.test/mono/shared/base\"\n\nconst Name = base.Name\n",
		"shared/right/right.go": "package right\n\nconst Name = \"right\"\n",
		"stead.yaml":            "services:\n",
	}
	for i, shared := range []string{"left", "left", "right", "", ""} {
		name := fmt.Sprintf("s%d", i)
		imports, use := "", `"alone"`
		if shared != "" {
			imports, use = fmt.Sprintf("\t\"example.test/mono/shared/%s\"\n", shared), shared+".Name"
		}
		files["cmd/"+name+"/main.go"] = fmt.Sprintf("package main\n\nimport (\n\t\"time\"\n%s)\n\nfunc main() {\n\tprintln(%s)\n\tfor {\n\t\ttime.Sleep(time.Hour)\n\t}\n}\n", imports, use)
		files["stead.yaml"] += fmt.Sprintf("  %[1]s:\n    working_dir: cmd/%[1]s\n    build: {command: go build -o ../../bin/%[1]s ., dir: cmd/%[1]s}\n    command: ../../bin/%[1]s\n", name)
	}
	return files
}

// TestMonorepo: a leaf file rebuilds its service, and a shared package those
// that import it, directly or not, each once.
func TestMonorepo(t *testing.T) {
	h := newHomestead(t, "")
	for name, text := range monorepoFiles() {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(h.dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		h.write(name, text)
	}
	h.ok("up", "-d")

	// Saves that come before it is known what a service is made of are found
	// too, but maybe as one reload, maybe as two. So each package is saved once
	// before it counts.
	h.savedAt("shared/base/base.go", "s0", "s1")
	h.savedAt("shared/right/right.go", "s2")
	h.savedAt("cmd/s3/main.go", "s3") // saves are looked at in their order: what those before cause is known

	for _, save := range []struct {
		file     string
		affected []string
	}{
		{"cmd/s4/main.go", []string{"s4"}},
		{"cmd/s0/main.go", []string{"s0"}},
		{"shared/right/right.go", []string{"s2"}},
		{"shared/base/base.go", []string{"s0", "s1"}},
	} {
		want := h.generations()
		for _, name := range append(save.affected, "s3") {
			want[name]++
		}
		h.savedAt(save.file, save.affected...)
		h.savedAt("cmd/s3/main.go", "s3")
		if got := h.generations(); !maps.Equal(got, want) {
			t.Errorf("after a save of %s generations are %v, want %v", save.file, got, want)
		}
	}
}

// generations are the numbers of the newest ones, by service: of those that
// are still built, too.
func (h *homestead) generations() map[string]int {
	h.Helper()
	numbers := map[string]int{}
	for name, s := range h.status() {
		numbers[name] = max(s.Generation, s.NextGeneration)
	}
	return numbers
}

// savedAt changes what a Go file is compiled to, and waits until services have
// a newer generation that serves.
func (h *homestead) savedAt(file string, services ...string) {
	h.Helper()
	before := h.generations()
	path := filepath.Join(h.dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		h.Fatal(err)
	}
	text = fmt.Appendf(text, "\nconst save%d = 0\n", time.Now().UnixNano())
	h.write(file+"~", string(text))
	if err := os.Rename(path+"~", path); err != nil {
		h.Fatal(err)
	}
	h.until(fmt.Sprintf("a reload of %v after a save of %s", services, file), 2*time.Minute, func() bool {
		for _, name := range services {
			if s := h.status()[name]; s.Generation <= before[name] || s.Phase != "ready" || s.NextGeneration != 0 {
				return false
			}
		}
		return true
	})
}
