package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// disk keeps the last routes in a file. It is written at once after a change,
// but not again for some time, and by nobody who has something better to do.
type disk struct {
	path string
	log  *slog.Logger
	wake chan struct{}

	mu      sync.Mutex // guards what follows, and the file against our own
	stopped bool
}

// writeAgain is between two writes. What is newer than the file is lost when
// this process is killed; the daemon says it again, if there is one.
const writeAgain = 100 * time.Millisecond

// kept is what is in the file.
type kept struct {
	Format   int       `json:"format"`
	Services []Service `json:"services"`
}

const format = 1

func newDisk(dir string, log *slog.Logger) *disk {
	return &disk{path: filepath.Join(dir, "routes.json"), log: log, wake: make(chan struct{}, 1)}
}

// touch notes that the table has changed.
func (d *disk) touch() { poke(d.wake) }

// stop ends the writing: somebody else has the file now.
func (d *disk) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
}

// run writes what has changed, until end is closed.
func (d *disk) run(end <-chan struct{}, table func() []Service) {
	for {
		select {
		case <-d.wake:
		default:
			select {
			case <-end:
				return
			case <-d.wake:
			}
		}
		if err := d.write(table()); err != nil {
			d.log.Error("the routes are not kept: a gateway that restarts without the daemon serves older ones", "err", err)
		}
		t := time.NewTimer(writeAgain)
		select {
		case <-end: // what has come meanwhile is written nevertheless
			t.Stop()
		case <-t.C:
		}
	}
}

// write replaces the file as a whole, by rename. It is not synced: after a
// power cut there is nothing to route to.
func (d *disk) write(table []Service) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return nil
	}
	text, err := json.Marshal(kept{format, table})
	if err != nil {
		return fmt.Errorf("keep routes: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(d.path), "routes-*.tmp")
	if err != nil {
		return fmt.Errorf("keep routes: %w", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.path)
	}
	if err != nil {
		return fmt.Errorf("keep routes: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// load returns the last routes, none when there are none. A file that cannot
// be understood is put aside, and said so: the daemon sends all of it anyway.
func (d *disk) load() ([]Service, error) {
	text, err := os.ReadFile(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the last routes: %w", err)
	}
	var k kept
	err = json.Unmarshal(text, &k)
	if err == nil && k.Format != format {
		err = fmt.Errorf("its format is %d, this gateway knows %d", k.Format, format)
	}
	if err == nil {
		err = (&Change{Set: k.Services}).validate()
	}
	if err != nil {
		d.log.Warn("the last routes cannot be used, they are put aside", "file", d.path, "err", err)
		return nil, os.Rename(d.path, d.path+".bad")
	}
	return k.Services, nil
}
