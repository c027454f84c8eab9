package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// monorepo is a Go module with many services and packages that they share:
// service i imports shared/p(i mod monorepoShared), and p0 imports base.
type monorepo struct {
	*stead
	services int
	saves    int
}

const monorepoShared = 6

const monorepoMain = `package main

import (
	"fmt"
	"time"

	"example.test/mono/shared/p%d"
)

func main() {
	fmt.Println(p%[1]d.Name())
	for { // ends with SIGTERM
		time.Sleep(time.Hour)
	}
}
`

func newMonorepo(o options) (*monorepo, error) {
	var b strings.Builder
	b.WriteString("name: bench\nservices:\n")
	for i := range o.services {
		fmt.Fprintf(&b, "  s%02[1]d:\n    build: go build -o bin/s%02[1]d ./cmd/s%02[1]d\n    command: bin/s%02[1]d\n", i)
	}
	s, err := newStead(o, b.String())
	if err != nil {
		return nil, err
	}
	cache, err := goCache()
	if err != nil {
		return nil, err
	}
	s.env = append(s.env, cache)
	m := &monorepo{stead: s, services: o.services}
	files := map[string]string{"go.mod": "module example.test/mono\n\ngo 1.24\n", "shared/base/base.go": "package base\n\nconst Name = \"base\"\n"}
	for i := range monorepoShared {
		files[fmt.Sprintf("shared/p%d/p.go", i)] = fmt.Sprintf("package p%d\n\nfunc Name() string { return \"p%[1]d\" }\n", i)
	}
	files["shared/p0/p.go"] = "package p0\n\nimport \"example.test/mono/shared/base\"\n\nfunc Name() string { return base.Name }\n"
	for i := range o.services {
		files[fmt.Sprintf("cmd/s%02d/main.go", i)] = fmt.Sprintf(monorepoMain, i%monorepoShared)
	}
	for name, text := range files {
		path := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// importers are the services that a shared package is part of.
func (m *monorepo) importers(shared int) []string {
	var names []string
	for i := shared; i < m.services; i += monorepoShared {
		names = append(names, fmt.Sprintf("s%02d", i))
	}
	return names
}

// save adds a constant to a file, so that its package is another one.
func (m *monorepo) save(name string) error {
	m.saves++
	path := filepath.Join(m.dir, name)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+"~", fmt.Appendf(text, "\nconst Save%d = %d\n", m.saves, m.saves), 0o644); err != nil {
		return err
	}
	return os.Rename(path+"~", path)
}

// settled waits until stead has built all, and looked at what each service is
// made of: until no go runs, for a while.
func (m *monorepo) settled() {
	for last := time.Now(); time.Since(last) < quiet; time.Sleep(50 * time.Millisecond) {
		for _, p := range m.processes() {
			if p.name == "go" {
				last = time.Now()
			}
		}
	}
}

// rebuilds saves a file, and looks which services that rebuilds.
func (m *monorepo) rebuilds(what, file string, wanted []string, v *verdicts) error {
	before, err := m.generations()
	if err != nil {
		return err
	}
	want := maps.Clone(before)
	for _, name := range wanted {
		want[name]++
	}
	began := time.Now()
	if err := m.save(file); err != nil {
		return err
	}
	var after map[string]int
	for time.Since(began) < time.Minute {
		if after, err = m.generations(); err != nil {
			return err
		}
		if maps.Equal(after, want) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	took := time.Since(began)
	m.settled()
	if after, err = m.generations(); err != nil {
		return err
	}
	made := 0
	for name := range after {
		made += after[name] - before[name]
	}
	fmt.Printf("  %s: %d generations, all begun after %s\n", what, made, ms(took))
	v.check(fmt.Sprintf("%s: exactly %s", what, strings.Join(wanted, " ")), maps.Equal(after, want))
	return nil
}

// monorepos: in a Go module with many services a save rebuilds what it
// is part of, once.
func monorepos(o options, v *verdicts) error {
	m, err := newMonorepo(o)
	if err != nil {
		return err
	}
	defer func() { _, _, _ = m.end() }()
	began := time.Now()
	if _, err := m.run("up", "-d"); err != nil {
		return err
	}
	up := time.Since(began)
	m.settled()
	fmt.Printf("monorepo of %d services: built and up in %.1f s\n", o.services, up.Seconds())
	if err := m.rebuilds("a leaf file", "cmd/s04/main.go", []string{"s04"}, v); err != nil {
		return err
	}
	if err := m.rebuilds("a shared package", "shared/p1/p.go", m.importers(1), v); err != nil {
		return err
	}
	return m.rebuilds("a package that a shared one imports", "shared/base/base.go", m.importers(0), v)
}
