package manifest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/google/go-cmp/cmp"
)

// watchOf loads a service x and returns what is watched, with the project's
// directory as DIR.
func watchOf(t *testing.T, dir, service string) Watch {
	t.Helper()
	write(t, dir, FileName, "services:\n  x: {"+service+"}\n")
	p, _, err := Load(Request{Directory: dir, Gateway: true})
	if err != nil {
		t.Fatalf("%s: %v", service, err)
	}
	w := p.Services["x"].Watch
	short := func(path string) string { return strings.Replace(path, p.Directory, "DIR", 1) }
	w.Dir = short(w.Dir)
	for _, list := range [][]string{w.Paths, w.Ignore} {
		for i := range list {
			list[i] = short(list[i])
		}
	}
	return w
}

func TestWatch(t *testing.T) {
	for service, want := range map[string]Watch{
		"watch: auto":         {Mode: WatchAuto},
		"watch: true":         {Mode: WatchAuto},
		"watch: none":         {Mode: WatchNone},
		"watch: false":        {Mode: WatchNone},
		"watch: no":           {Mode: WatchNone},
		"watch: templates":    {Mode: WatchPaths, Paths: []string{"DIR/templates/**"}},
		"watch: ./a/../b/":    {Mode: WatchPaths, Paths: []string{"DIR/b/**"}},
		"watch: .":            {Mode: WatchPaths, Paths: []string{"DIR/**"}},
		"watch: /etc/hosts":   {Mode: WatchPaths, Paths: []string{"/etc/hosts/**"}},
		"watch: 'a/*/'":       {Mode: WatchPaths, Paths: []string{"DIR/a/*/**"}},
		"watch: '**/*.go'":    {Mode: WatchPaths, Paths: []string{"DIR/**/*.go"}},
		`watch: 'a\*b'`:       {Mode: WatchPaths, Paths: []string{`DIR/a\*b`}},
		"watch: '!gen'":       {Mode: WatchAuto, Ignore: []string{"DIR/gen/**"}},
		"watch: {poll: true}": {Mode: WatchAuto, Poll: true},
		"watch: [auto, 't/**', '!t/gen/**']": {
			Mode: WatchAuto, Paths: []string{"DIR/t/**"}, Ignore: []string{"DIR/t/gen/**"}},
		"watch: {paths: [a, b], ignore: ['**/*.md']}": {
			Mode: WatchPaths, Paths: []string{"DIR/a/**", "DIR/b/**"}, Ignore: []string{"DIR/**/*.md"}},
		"watch: auto, data: {a: ./var}": {Mode: WatchAuto, Ignore: []string{"DIR/var/**"}},
	} {
		want.Dir = "DIR"
		if diff := cmp.Diff(want, watchOf(t, t.TempDir(), "command: x, "+service)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", service, diff)
		}
	}
}

// TestWatchedByDefault: what is certainly made of files of the project is
// watched without a word, and nothing else.
func TestWatchedByDefault(t *testing.T) {
	for service, want := range map[string]string{
		"build: go build -o bin/x ./x, command: bin/x":         "auto",
		"build: make, command: x":                              "auto",
		"build: npm ci, command: npm run dev":                  "none", // it reloads itself
		"build: go build -o bin/x ./x, command: bin/x --debug": "auto", // its own flag
		"command: ./run.sh":                                    "auto DIR/run.sh/**",
		"command: bin/x":                                       "auto DIR/bin/x/**",
		"command: node server.js":                              "auto DIR/server.js/**",
		"command: node --watch server.js":                      "none",
		"command: node gone.js":                                "none",
		"command: [python3.12, -u, app.py, other.py]":          "auto DIR/app.py/**",
		"command: python -m http.server":                       "none",
		"command: node ../server.js, working_dir: sub":         "auto DIR/server.js/**",
		"command: go run ./cmd/x":                              "auto",
		"command: npm start":                                   "auto",
		"command: npm start, working_dir: /":                   "none",
		"command: uvicorn app:app --reload":                    "none",
		"command: 'node server.js | cat', shell: true":         "auto DIR/server.js/**",
		"command: redis-server ./server.js":                    "none", // not what it is made of
		"command: postgres -D ./data":                          "none",
		"command: /usr/bin/x":                                  "none",
		"command: node server.js, restart: no":                 "none",
		"command: node server.js, restart: no, watch: auto":    "auto",
		"build: make, command: bin/x, watch: false":            "none",
	} {
		dir := t.TempDir()
		for _, name := range []string{"server.js", "app.py", "other.py", "sub/x"} {
			write(t, dir, name, "")
		}
		w := watchOf(t, dir, service)
		if got := strings.Join(append([]string{string(w.Mode)}, w.Paths...), " "); got != want {
			t.Errorf("%s: %s, want %s", service, got, want)
		}
	}
}

// TestWatchInADirectoryWithBrackets: the characters of the project's own path
// are no pattern.
func TestWatchInADirectoryWithBrackets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `[a]{b} *?\c`)
	write(t, dir, FileName, "services: {x: {command: ./x, watch: ['src/*.go', conf], data: {v: var}}, y: {command: ./y}}")
	p, _, err := Load(Request{Directory: dir, Gateway: true})
	if err != nil {
		t.Fatal(err)
	}
	x, y := p.Services["x"].Watch, p.Services["y"].Watch
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{x.Paths[0], "src/a.go", true}, {x.Paths[0], "src/b/a.go", false}, {x.Paths[1], "conf", true}, {x.Paths[1], "conf/a/b", true},
		{x.Paths[1], "config", false}, {y.Paths[0], "y", true},
	} {
		if got, err := doublestar.Match(c.pattern, filepath.Join(p.Directory, c.path)); got != c.want || err != nil {
			t.Errorf("%s matches %s: %v, %v", c.pattern, c.path, got, err)
		}
	}
}
