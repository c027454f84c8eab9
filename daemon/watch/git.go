package watch

import (
	"os"
	"path/filepath"
	"strings"
)

// findRepository returns the work tree that dir is in, else "".
func findRepository(dir string) string {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// findGitDir follows the file that worktrees and submodules have in place of
// the directory (gitrepository-layout(5)).
func findGitDir(repository string) string {
	path := filepath.Join(repository, ".git")
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if info.IsDir() {
		return path
	}
	text, err := os.ReadFile(path)
	dir, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
	if err != nil || !ok {
		return ""
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(repository, dir)
	}
	return dir
}

// gitLock reports whether an operation that writes the work tree is under way:
// checkout, merge, reset and stash hold this lock from before the first file
// to after the last. It is looked at when there are changes to tell, so
// nothing of .git has to be watched.
func gitLock(gitDir string) (lock stat, busy bool) {
	if gitDir == "" {
		return stat{}, false
	}
	info, err := os.Lstat(filepath.Join(gitDir, "index.lock"))
	if err != nil {
		return stat{}, false
	}
	return statOf(info), true
}
