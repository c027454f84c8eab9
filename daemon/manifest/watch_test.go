package manifest

import (
	"path/filepath"
	"strings"
	"testing"

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
	write(t, dir, FileName, "services: {x: {command: ./x, watch: ['src/*.go', conf, '!**/*.md']}, y: {command: ./y}}")
	p, _, err := Load(Request{Directory: dir, Gateway: true})
	if err != nil {
		t.Fatal(err)
	}
	x, y := p.Services["x"].Watch, p.Services["y"].Watch
	for file, want := range map[string]bool{
		"src/a.go": true, "src/b/a.go": false, "conf": true, "conf/a/b": true, "config": false, "var/x": false,
	} {
		if got := x.Covers(filepath.Join(p.Directory, file)); got != want {
			t.Errorf("%s is watched: %v", file, got)
		}
	}
	if !y.Covers(filepath.Join(p.Directory, "y")) || !x.Ignores(filepath.Join(p.Directory, "conf/x.md")) {
		t.Errorf("%+v, %+v", x, y)
	}
	if diff := cmp.Diff([]string{filepath.Join(p.Directory, "src"), filepath.Join(p.Directory, "conf")}, x.Roots()); diff != "" {
		t.Errorf("roots (-want +got):\n%s", diff)
	}
}

// TestRootsOfBraces: alternatives may have slashes in them.
func TestRootsOfBraces(t *testing.T) {
	w := Watch{Paths: []string{"/a/b/{c/d,e}/*.go", "/a/b/**", `/a/\*/x/**`}}
	if diff := cmp.Diff([]string{"/a/b", "/a/*/x"}, w.Roots()); diff != "" {
		t.Error(diff)
	}
}

// TestWatchIsOverridden by a word, and added to by a list.
func TestWatchIsOverridden(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, FileName, "services: {word: {command: x, watch: [a]}, list: {command: x, watch: [a]}, map: {command: x, watch: {paths: a, ignore: [b]}}}")
	write(t, dir, overrideName, "services: {word: {watch: none}, list: {watch: [b]}, map: {watch: {ignore: [c], poll: true}}}")
	p, _, err := Load(Request{Directory: dir, Gateway: true})
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(p.Directory, name) + "/**" }
	for service, want := range map[string]Watch{
		"word": {Mode: WatchNone},
		"list": {Mode: WatchPaths, Paths: []string{at("a"), at("b")}},
		"map":  {Mode: WatchPaths, Paths: []string{at("a")}, Ignore: []string{at("b"), at("c")}, Poll: true},
	} {
		want.Dir = p.Directory
		if diff := cmp.Diff(want, p.Services[service].Watch); diff != "" {
			t.Errorf("%s (-want +got):\n%s", service, diff)
		}
	}
}

// TestEnvFilesAreKnown: also those that need not be there.
func TestEnvFilesAreKnown(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "one.env", "A=1\n")
	write(t, dir, FileName, "services:\n  web: {command: sleep 1, env_file: [one.env, {path: ./two.env, required: false}]}\n"+
		"  deaf: {command: sleep 1, env_file: one.env, watch: none}\n")
	p, _, err := Load(Request{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Services["web"].EnvFiles; len(got) != 2 || filepath.Base(got[0]) != "one.env" || got[1] != filepath.Join(p.Directory, "two.env") {
		t.Errorf("%v", got)
	}
	if got := p.Services["deaf"].EnvFiles; len(got) != 0 {
		t.Errorf("watch: none has %v", got)
	}
}
