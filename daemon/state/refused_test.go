package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stead-dev/stead/runtime"
)

// Trouble that says nothing about what is in the file moves nothing.
func TestRefusedByTheSystem(t *testing.T) {
	asUser := func(t *testing.T) {
		if os.Getuid() == 0 {
			t.Skip("needs: an ordinary user, root may write everywhere; see TestBadDisk")
		}
	}
	for what, prepare := range map[string]func(t *testing.T, dir string){
		"database is a directory": func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, databaseName), 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"lock is a directory": func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, lockName), 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"directory is a file": func(t *testing.T, dir string) {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(dir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"directory without write permission": func(t *testing.T, dir string) {
			asUser(t)
			if err := os.Chmod(dir, 0o500); err != nil {
				t.Fatal(err)
			}
		},
		"database of somebody else": func(t *testing.T, dir string) {
			asUser(t)
			if err := os.WriteFile(filepath.Join(dir, databaseName), []byte("x"), 0o000); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			prepare(t, dir)
			_, _, err := Open(dir, quiet)
			if !errors.Is(err, runtime.Unavailable) || runtime.Hint(err) == "" {
				t.Errorf("error %v (hint %q), want %v with a hint", err, runtime.Hint(err), runtime.Unavailable)
			}
			if moved, _ := filepath.Glob(filepath.Join(dir, "*corrupt*")); moved != nil {
				t.Errorf("moved aside: %v", moved)
			}
		})
	}
}

func TestDirectoryIsMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	opened(t, dir)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}
