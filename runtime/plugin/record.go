package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/stead-dev/stead/runtime"
)

// The files of a runtime's directory.
const (
	recordName = "runtime.json"
	lockName   = "runtime.lock"
)

// record is the content of runtime.json: where the runtime is, and what tells
// it from another process that has its pid by now.
type record struct {
	Socket   string `json:"socket"`
	PID      int    `json:"pid"`
	Start    string `json:"start"` // of the process; see startTime
	Boot     string `json:"boot"`  // of the machine; see bootID
	Contract int    `json:"contract"`
	Nonce    string `json:"nonce"`
	Build    string `json:"build"`
}

// writeRecord replaces the file at once: a reader sees the old or the new.
func writeRecord(dir string, r record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, recordName)
	temp := path + ".new" // one writer: it holds the lock
	if err := os.WriteFile(temp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// readRecord returns NotFound where there is none, and where what is there is
// not one.
func readRecord(dir string) (record, error) {
	data, err := os.ReadFile(filepath.Join(dir, recordName))
	if errors.Is(err, os.ErrNotExist) {
		return record{}, fmt.Errorf("no runtime has announced itself: %w", runtime.NotFound)
	}
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("%s is damaged (%v): %w", recordName, err, runtime.NotFound)
	}
	return r, nil
}

// alive reports whether the process that wrote the record still lives. A pid
// alone says nothing: it may be another process's by now.
func (r record) alive() bool {
	boot, err := bootID()
	if err != nil || boot != r.Boot || r.PID <= 0 {
		return false
	}
	start, err := startTime(r.PID)
	return err == nil && start == r.Start
}
