package main_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// committedLimit is far above any source file and far below any binary that
// could be added by accident.
const committedLimit = 512 << 10

// planned is all that may be at the top. The shape of a house is easy to lose.
var planned = []string{
	"cmd", "daemon", "supervisor", "runtime", "plugins", "ipc", "packaging", "testdata", "docs", ".ci",
	"go.mod", "go.sum", "Makefile", "README.md", "ARCHITECTURE.md", "LICENSE", "NOTICE",
	".gitignore", ".gitattributes", ".editorconfig",
}

// committed returns the files that git knows of, with slashes.
func committed(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("needs: git and its checkout: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestTopLevel(t *testing.T) {
	for _, broken := range unplanned(committed(t)) {
		t.Error(broken)
	}
}

func unplanned(files []string) []string {
	var broken []string
	for _, f := range files {
		top, _, _ := strings.Cut(f, "/")
		complaint := fmt.Sprintf("%s at the top is not planned: everything has its folder in ARCHITECTURE.md", top)
		if !slices.Contains(planned, top) && !slices.Contains(broken, complaint) {
			broken = append(broken, complaint)
		}
	}
	return broken
}

func TestCommittedFiles(t *testing.T) {
	for _, f := range committed(t) {
		info, err := os.Lstat(filepath.Join(root, f))
		if err != nil || !info.Mode().IsRegular() { // deleted and not yet committed, or a link
			continue
		}
		text := []byte(nil)
		if info.Size() <= committedLimit {
			if text, err = os.ReadFile(filepath.Join(root, f)); err != nil {
				t.Fatal(err)
			}
		}
		if broken := unfit(f, info.Size(), text); broken != "" {
			t.Error(broken)
		}
	}
}

// unfit says why a file should not be committed, "" when it may.
func unfit(name string, size int64, text []byte) string {
	switch {
	case size > committedLimit:
		return fmt.Sprintf("%s has %d bytes: git keeps them for ever", name, size)
	case bytes.IndexByte(text, 0) >= 0:
		return name + " is binary: build it, or write it in the test"
	}
	return ""
}

func TestTreeRulesFindViolations(t *testing.T) {
	if broken := unplanned([]string{"go.mod", "pkg/a.go", "pkg/b.go", "daemon/x.go", ".ci/run"}); len(broken) != 1 || !strings.Contains(broken[0], "pkg at the top") {
		t.Errorf("complaints %q", broken)
	}
	if unfit("x", committedLimit+1, nil) == "" || unfit("x", 4, []byte("\x7fELF\x00")) == "" || unfit("x", 4, []byte("text")) != "" {
		t.Error("unfit does not tell what may be committed")
	}
}
