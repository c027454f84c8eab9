package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// normalize makes paths clean and relative to Dir, gives files outside of Dir
// (and roots that are files) roots of their own, and merges roots that differ in what they include alone:
// thirty services of a project cost one tree.
func normalize(roots []Root) ([]Root, error) {
	var wanted []Root
	for _, r := range roots {
		if !filepath.IsAbs(r.Dir) {
			return nil, fmt.Errorf("watch %q: the path is not absolute", r.Dir)
		}
		r.Dir = filepath.Clean(r.Dir)
		if strings.ContainsRune(r.Dir, 0) {
			return nil, fmt.Errorf("watch %q: no path has a 0 byte", r.Dir)
		}
		if info, err := os.Stat(r.Dir); err == nil && !info.IsDir() { // `watch: config.yaml`
			wanted = merge(wanted, Root{Dir: filepath.Dir(r.Dir), Files: []string{filepath.Base(r.Dir)}, Poll: r.Poll})
			continue
		}
		everything := len(r.Include) == 0 && len(r.Files) == 0
		files := r.Files
		r.Files = nil
		for _, file := range files {
			if !filepath.IsAbs(file) {
				file = filepath.Join(r.Dir, file)
			}
			if rel, err := filepath.Rel(r.Dir, file); err == nil && filepath.IsLocal(rel) && rel != "." {
				r.Files = append(r.Files, filepath.ToSlash(rel))
				continue
			}
			wanted = merge(wanted, Root{Dir: filepath.Dir(file), Files: []string{filepath.Base(file)}, Poll: r.Poll})
		}
		if everything {
			r.Include = []string{"*"}
		}
		if len(r.Files) > 0 || len(r.Include) > 0 {
			wanted = merge(wanted, r)
		}
	}
	for i := range wanted {
		wanted[i].Include = sorted(wanted[i].Include)
		wanted[i].Files = sorted(wanted[i].Files)
	}
	return wanted, nil
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func merge(roots []Root, r Root) []Root {
	for i, other := range roots {
		if other.Dir == r.Dir && other.Flat == r.Flat && other.Gitignore == r.Gitignore && other.Poll == r.Poll && slices.Equal(other.Ignore, r.Ignore) {
			roots[i].Include = slices.Concat(other.Include, r.Include)
			roots[i].Files = slices.Concat(other.Files, r.Files)
			return roots
		}
	}
	return append(roots, r)
}

func sameRoot(a, b Root) bool {
	return a.Dir == b.Dir && a.Flat == b.Flat && a.Gitignore == b.Gitignore && a.Poll == b.Poll &&
		slices.Equal(a.Ignore, b.Ignore) && slices.Equal(a.Include, b.Include) && slices.Equal(a.Files, b.Files)
}
