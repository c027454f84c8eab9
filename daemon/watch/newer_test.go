package watch_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/watch"
)

// What was saved before anybody watched is found by its time.
func TestNewer(t *testing.T) {
	dir := t.TempDir()
	since := time.Now().Add(-time.Hour)
	for name, at := range map[string]time.Time{"old": since.Add(-time.Minute), "new": since.Add(time.Minute), "node_modules/x": since.Add(time.Minute)} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	w := watch.New(watch.Options{})
	defer w.Close()
	if err := w.Set("p", []watch.Root{{Dir: dir}}); err != nil {
		t.Fatal(err)
	}
	newer := w.Newer("p", since)
	if len(newer) != 1 || newer[0].Path != filepath.Join(dir, "new") || !newer[0].Time.After(since) {
		t.Errorf("%+v", newer)
	}
	if other := w.Newer("q", since); len(other) != 0 {
		t.Errorf("of another project: %+v", other)
	}
}
