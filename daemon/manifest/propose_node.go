package manifest

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// lockFiles tell which package manager a project uses.
var lockFiles = map[string]string{"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lock": "bun", "bun.lockb": "bun"}

// scripts are those of a package.json that run it, best first.
var scripts = []string{"dev", "start", "serve"}

// proposeNode reads package.json in dir, and in the directories right below.
func proposeNode(dir string) source {
	s := source{name: "package.json"}
	dirs := []string{"."}
	entries, _ := os.ReadDir(dir) // what cannot be read has nothing to propose
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "node_modules" {
			dirs = append(dirs, e.Name())
		}
	}
	for _, below := range dirs {
		if one, ok := nodeService(dir, below); ok {
			s.services = append(s.services, one)
		}
	}
	return s
}

func nodeService(dir, below string) (proposed, bool) {
	at := filepath.Join(dir, below)
	text, err := readText(filepath.Join(at, "package.json"))
	var pkg struct {
		Name    string
		Scripts map[string]string
	}
	if err != nil || json.Unmarshal([]byte(text), &pkg) != nil {
		return proposed{}, false
	}
	i := slices.IndexFunc(scripts, func(name string) bool { return pkg.Scripts[name] != "" })
	if i < 0 {
		return proposed{}, false
	}
	manager := "npm"
	for _, place := range []string{dir, at} {
		for file, name := range lockFiles {
			if isThere(filepath.Join(place, file)) {
				manager = name
			}
		}
	}
	if pkg.Name == "" {
		pkg.Name = filepath.Base(at)
	}
	_, short, scoped := strings.Cut(pkg.Name, "/") // @scope/name
	if !scoped {
		short = pkg.Name
	}
	one := proposed{
		name:  nameOf(short),
		notes: []string{"its scripts: " + strings.Join(slices.Sorted(maps.Keys(pkg.Scripts)), ", ")},
		lines: []string{"command: " + manager + " run " + scripts[i]},
	}
	if below != "." {
		one.lines = append(one.lines, "working_dir: "+scalar(below))
	}
	one.lines = append(one.lines, "# ports: {http: auto} # if it listens; it finds where in $PORT, else {http: \"8000:3000\"}")
	return one, true
}
