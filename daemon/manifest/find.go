package manifest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// maxFile bounds each file that is read. The largest real manifests (hundreds
// of services) are well under one megabyte.
const maxFile = 10 << 20

// find returns the manifest's path with the links in its directory resolved,
// so that a project reached by two paths is one project.
func find(req Request) (string, error) {
	if path := cmp.Or(req.File, req.Directory); !filepath.IsAbs(path) {
		return "", fmt.Errorf("find the manifest of %q: not an absolute path: %w", path, runtime.Invalid)
	}
	if req.File != "" {
		if _, err := os.Stat(req.File); err != nil {
			return "", runtime.WithHint(
				fmt.Errorf("no manifest at %s (%s): %w", req.File, reason(err), runtime.NotFound),
				"name a file that exists, or leave it out to look for "+FileName+" from here upwards")
		}
		return canonical(req.File)
	}
	for dir := filepath.Clean(req.Directory); ; dir = filepath.Dir(dir) {
		file := filepath.Join(dir, FileName)
		// A directory of that name, or one that may not be read, is passed by:
		// the manifest may still be further up.
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return canonical(file)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return "", runtime.WithHint(
		fmt.Errorf("no %s in %s or above it: %w", FileName, req.Directory, runtime.NotFound),
		missingHint(req.Directory))
}

func canonical(file string) (string, error) {
	dir, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return "", fmt.Errorf("resolve the directory of %s (%s): %w", file, reason(err), runtime.NotFound)
	}
	return filepath.Join(dir, filepath.Base(file)), nil
}

// missingHint says what to do in a directory without a manifest. It names
// what is there and never guesses from it.
func missingHint(dir string) string {
	for _, near := range []string{"stead.yml", "Stead.yaml", ".stead.yaml"} {
		if _, err := os.Stat(filepath.Join(dir, near)); err == nil {
			return "rename " + near + " to " + FileName
		}
	}
	if _, found := Propose(dir); len(found) > 0 {
		return "found " + strings.Join(found, "; ") + ": `stead init` makes a " + FileName + " of that, for you to correct"
	}
	return `create one; the least is: services: {web: {command: ./web}}`
}

// readText reads a regular file of bounded size: a FIFO would block for ever,
// and a device never end.
func readText(file string) (string, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot be read: %w", unwrapped(err))
	case !info.Mode().IsRegular():
		return "", errors.New("is not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return "", errors.New("cannot be read: " + reason(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return "", errors.New("cannot be read: " + reason(err))
	case len(text) > maxFile:
		return "", fmt.Errorf("is larger than %d MB", maxFile>>20)
	}
	return string(bytes.TrimPrefix(text, []byte("\ufeff"))), nil
}

// unwrapped is err without the operation and path that the caller says itself.
func unwrapped(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func reason(err error) string { return unwrapped(err).Error() }

// projectID is unique for a directory and readable: see Project.ID.
func projectID(name, directory string) string {
	sum := sha256.Sum256([]byte(directory))
	return name + "-" + hex.EncodeToString(sum[:4])
}

// nameOf makes a valid name of a directory's.
func nameOf(directory string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, strings.ToLower(filepath.Base(directory)))
	name = strings.TrimLeft(name, "._-")
	name = strings.TrimRight(name[:min(len(name), maxName)], "-")
	if name == "" {
		return "project"
	}
	return name
}
