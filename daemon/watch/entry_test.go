package watch

import (
	"os"
	"path/filepath"
	"testing"
)

// overwritten is a file that is saved between a look at it and its reading.
type overwritten struct{ *os.File }

func (f overwritten) Read(p []byte) (int, error) {
	if err := os.WriteFile(f.Name(), []byte("what was saved meanwhile"), 0o644); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

// The sum of the new content was noted as that of the baseline, so that the
// save was seen as one that changes nothing.
func TestSaveWhileBaselineIsHashedWasLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.go")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, ok := digestFile(overwritten{f}, hashLimit, make([]byte, 64)); ok {
		t.Error("a sum was made of what is not the baseline")
	}
}
