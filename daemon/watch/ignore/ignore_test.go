package ignore_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stead-dev/stead/daemon/watch/ignore"
)

// ignored walks parents first, as callers do.
func ignored(list ignore.List, path string, dir bool) bool {
	for i, c := range path {
		if c == '/' && list.Match(path[:i], true) == ignore.Ignored {
			return true
		}
	}
	return list.Match(path, dir) == ignore.Ignored
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		patterns, path string
		want           bool
	}{
		{"*.log", "a/b/x.log", true},
		{"*.log\n!keep.log", "a/keep.log", false},
		{"*.log\n!logs/", "logs/x.log", true},
		{"a/**\n!a/keep", "a/keep", false},
		{"a/**", "a/x/y", true},
		{"/x", "sub/x", false},
		{"x/y", "sub/x/y", false},
		{"**/x/y", "sub/x/y", true},
		{"a/**/b", "a/b", true},
		{"a/**/b", "a/x/y/b", true},
		{"dir/", "dir", false}, // a file
		{"dir/", "dir/x", true},
		{"*\n!*/\n!*.go", "p/q.go", false},
		{"*\n!*/\n!*.go", "p/q.c", true},
		{"foo**bar", "foo-bar", true},
		{"foo**bar", "foo/bar", false},
		{"*.[!o]", "x.o", false},
		{"*.[^o]", "x.a", true},
		{"[[:digit:]]x", "1x", true},
		{"[]-]x", "-x", true},
		{"[a", "[a", false},
		{`\#x`, "#x", true},
		{"#x", "#x", false},
		{`\!x`, "!x", true},
		{`x\ `, "x ", true},
		{"x  ", "x", true},
		{"x\r", "x", true},
		{"/", "x", false},
		{"a\nb", "a\nb", false},
		{"*\xff*", "x\xffy", true},
	} {
		if got := ignored(ignore.Parse(c.patterns), c.path, false); got != c.want {
			t.Errorf("%q with %q: ignored is %v", c.path, c.patterns, got)
		}
	}
}

func TestBelow(t *testing.T) {
	list := ignore.Parse("cmd/*/main.go\n/internal/**/x.go\ndocs/**")
	for dir, want := range map[string]bool{"cmd": true, "cmd/a": true, "cmd/a/b": false, "internal/q/r": true, "docs": true, "docs/a": true, "web": false} {
		if list.Below(dir) != want {
			t.Errorf("Below(%q) is %v", dir, !want)
		}
	}
	if !ignore.Parse("*.go").Below("anywhere") {
		t.Error("a base name may be anywhere")
	}
}

// TestAsGit asks git what it thinks of random patterns and a tree of files.
// Left out: a** beside other components and [a before a slash, in which git
// 2.39 compares unrelated pointers, or takes the slash for a part of the set.
func TestAsGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs: git")
	}
	random := rand.New(rand.NewPCG(4, 2))
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	dirs := randomTree(t, random, dir)
	for round := range 60 {
		patterns := randomPatterns(random)
		if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(patterns), 0o644); err != nil {
			t.Fatal(err)
		}
		theirs := checkIgnore(t, dir, slices.Collect(maps.Keys(dirs)))
		list := ignore.Parse(patterns)
		for path, isDir := range dirs {
			if got := ignored(list, path, isDir); got != theirs[path] {
				t.Errorf("round %d: %q with %q: ignored is %v, git says %v", round, path, patterns, got, theirs[path])
			}
		}
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v: %s", args[0], err, out)
	}
}

func checkIgnore(t *testing.T, dir string, paths []string) map[string]bool {
	t.Helper()
	check := exec.Command("git", "-C", dir, "-c", "core.excludesFile=/dev/null", "check-ignore", "--no-index", "--stdin", "-z")
	check.Stdin = strings.NewReader(strings.Join(paths, "\x00") + "\x00")
	var stderr bytes.Buffer
	check.Stderr = &stderr
	out, err := check.Output()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 1) { // 1: none is ignored
		t.Fatalf("git check-ignore: %v: %s", err, stderr.String())
	}
	found := make(map[string]bool)
	for path := range strings.SplitSeq(string(out), "\x00") {
		found[path] = true
	}
	return found
}

// randomTree makes files and says which of the paths are directories.
func randomTree(t *testing.T, random *rand.Rand, root string) map[string]bool {
	t.Helper()
	names := []string{"a", "b", "ab", "abc", "x.go", "x.o", "b]", "-", "a b", "1", "A", "#a", "!a", "a*"}
	dirs := make(map[string]bool)
	for range 300 {
		path := ""
		for range random.IntN(4) {
			path += names[random.IntN(len(names))] + "/"
		}
		if os.MkdirAll(filepath.Join(root, path), 0o755) != nil { // a file is in the way
			continue
		}
		for i, c := range path {
			if c == '/' {
				dirs[path[:i]] = true
			}
		}
		path += names[random.IntN(len(names))]
		if !dirs[path] && os.WriteFile(filepath.Join(root, path), nil, 0o644) == nil {
			dirs[path] = false
		}
	}
	return dirs
}

func randomPatterns(random *rand.Rand) string {
	parts := []string{"a", "b", "ab*", "*", "**", "*.go", "?", "[ab]", "[!a]*", "[^a-b]", "[[:alpha:]]", "[[:upper:]-]", "[]]", "*b*", `\#a`, `\!a`, `a\*`, `a\ b`, "x.*", "#a", "a ", `\`}
	var lines []string
	for range 1 + random.IntN(6) {
		var p []string
		for range 1 + random.IntN(3) {
			p = append(p, parts[random.IntN(len(parts))])
		}
		line := strings.Join(p, "/")
		if random.IntN(4) == 0 {
			line = "/" + line
		}
		if random.IntN(4) == 0 {
			line += "/"
		}
		if random.IntN(3) == 0 {
			line = "!" + line
		}
		lines = append(lines, line)
	}
	return fmt.Sprintln(strings.Join(lines, "\n"))
}
