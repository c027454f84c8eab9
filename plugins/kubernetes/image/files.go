package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// entry is one file, directory or link of a layer.
type entry struct {
	name  string      // in the image, without a slash in front: "app/bin/api"
	mode  fs.FileMode // type and permissions, normalised
	owner int

	source string      // a regular file: where its content is, relative to the directory that is packed
	info   fs.FileInfo // of source, as it was when it was found
	data   []byte      // the content, when there is no source
	target string      // of a link
}

// tree is what was found below a directory. Keys are slash-separated and
// relative to it. All access goes through an os.Root, so that no link leads
// out of it, whoever swaps files meanwhile.
type tree struct {
	root    *os.Root
	program string // what the command runs: its variants for platforms are not in the tree
	found   map[string]entry
}

func openTree(dir string) (*tree, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("directory %q is not absolute: %w", dir, runtime.Invalid)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the directory to pack: %w: %w", err, runtime.Invalid)
	}
	return &tree{root: root, found: map[string]entry{}}, nil
}

func (t *tree) close() { _ = t.root.Close() }

// add takes in a file or directory that the manifest names, with all that is
// below it.
func (t *tree) add(name string) error {
	rel, err := localName(name)
	if err != nil {
		return err
	}
	if err := t.parents(rel); err != nil {
		return err
	}
	return t.walk(rel)
}

// localName returns name as a key of a tree.
func localName(name string) (string, error) {
	rel := path.Clean(filepath.ToSlash(name))
	if name == "" || !filepath.IsLocal(rel) || strings.ContainsRune(rel, 0) {
		return "", runtime.WithHint(fmt.Errorf("file %q is not below the service's directory: %w", name, runtime.Invalid),
			"name files and directories relative to it, without ..")
	}
	return rel, nil
}

// parents takes in the directories above rel.
func (t *tree) parents(rel string) error {
	for i, c := range rel {
		if c != '/' {
			continue
		}
		above := rel[:i]
		info, err := t.root.Lstat(above)
		if err != nil {
			return t.missing(rel, err)
		}
		if !info.IsDir() {
			return runtime.WithHint(fmt.Errorf("file %q: %s is no directory of its own: %w", rel, above, runtime.Invalid),
				"name the file where it really lies")
		}
		t.found[above] = entry{mode: fs.ModeDir | 0o755}
	}
	return nil
}

func (t *tree) missing(rel string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at %s: %w: %w", rel, err, runtime.Invalid)
	}
	return runtime.WithHint(fmt.Errorf("there is no %s in %s: %w", rel, t.root.Name(), runtime.Invalid),
		"build it first, or correct the names of the files to pack")
}

// walk takes in rel, whose parents are there already. Links are not followed,
// so it ends.
func (t *tree) walk(rel string) error {
	if t.program != "" && strings.HasPrefix(rel, t.program+".linux-") {
		return nil
	}
	info, err := t.root.Lstat(rel)
	if err != nil {
		return t.missing(rel, err)
	}
	switch info.Mode().Type() {
	case 0:
		t.found[rel] = entry{mode: permissions(info), source: rel, info: info}
	case fs.ModeDir:
		return t.walkDirectory(rel)
	case fs.ModeSymlink:
		target, err := t.root.Readlink(rel)
		if err != nil {
			return fmt.Errorf("read link %s: %w", rel, err)
		}
		t.found[rel] = entry{mode: fs.ModeSymlink | 0o777, target: filepath.ToSlash(target), info: info}
	default:
		return runtime.WithHint(fmt.Errorf("%s is neither file, directory nor link but %s: %w", rel, info.Mode().Type(), runtime.Invalid),
			"remove it, or name the files to pack one by one")
	}
	return nil
}

func (t *tree) walkDirectory(rel string) error {
	if rel != "." {
		t.found[rel] = entry{mode: fs.ModeDir | 0o755}
	}
	list, err := fs.ReadDir(t.root.FS(), rel)
	if err != nil {
		return fmt.Errorf("read directory %s: %w: %w", rel, err, runtime.Invalid)
	}
	for _, d := range list {
		if err := t.walk(path.Join(rel, d.Name())); err != nil {
			return err
		}
	}
	return nil
}

// remove takes rel out, and the directories that nothing else is in.
func (t *tree) remove(rel string) {
	delete(t.found, rel)
	for _, dir := range slices.Backward(above(rel)) {
		for other := range t.found {
			if strings.HasPrefix(other, dir+"/") {
				return
			}
		}
		delete(t.found, dir)
	}
}

// permissions keeps of a file's mode what means something for somebody else.
func permissions(info fs.FileInfo) fs.FileMode {
	if info.Mode()&0o111 != 0 {
		return 0o755
	}
	return 0o644
}
