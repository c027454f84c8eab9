package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// watches is who is told, or has to look, for which directory. It counts, since
// roots overlap. Directories are named by their canonical paths.
type watches struct {
	silent func(dir string) string
	notify *fsnotify.Watcher // nil: the system gave none
	poller *poller
	why    error // of notify being nil

	mu      sync.Mutex
	uses    map[string]int
	costs   map[string]int // of those watched by events
	cost    int
	maximum int // of cost; 0: none
}

func newWatches(options Options, poller *poller) *watches {
	w := &watches{silent: options.Silent, poller: poller, uses: make(map[string]int), costs: make(map[string]int), maximum: options.MaxWatches}
	if w.maximum == 0 {
		w.maximum = watchLimit()
	}
	w.notify, w.why = fsnotify.NewWatcher()
	if w.why != nil {
		w.notify = nil
	}
	return w
}

func (w *watches) close() {
	if w.notify != nil {
		_ = w.notify.Close()
	}
}

// acquire has changes of a directory's files told from now on, by polling when
// that is asked for. A warning says that it is polled; an error, that it cannot
// be read.
func (w *watches) acquire(dir string, poll bool) (*Warning, error) {
	if poll {
		w.poll(dir)
		return polled(dir), nil
	}
	if kind := w.silent(dir); kind != "" {
		w.poll(dir)
		return noEvents(dir, kind), nil
	}
	if w.notify == nil {
		w.poll(dir)
		return noInstance(dir, w.why), nil
	}
	cost := watchCost(dir)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.costs[dir]; !known && w.maximum > 0 && w.cost+cost > w.maximum {
		w.uses[dir]++
		w.poller.add(dir)
		return noWatches(dir, w.cost), nil
	}
	// Also when it is watched already: the directory may be another one by now,
	// which only the notifier can tell.
	err := w.notify.Add(dir)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		w.uses[dir]++
		w.poller.add(dir)
		return noWatches(dir, w.cost), nil
	case err != nil:
		return nil, err
	}
	w.uses[dir]++
	w.cost += cost - w.costs[dir]
	w.costs[dir] = cost
	return nil, nil
}

func (w *watches) poll(dir string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.uses[dir]++
	w.poller.add(dir)
}

// release ends one acquire. Gone says that the directory is no longer at this
// path, so that the watch, which follows the inode, tells lies.
func (w *watches) release(dir string, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.uses[dir]--
	last := w.uses[dir] <= 0
	if last {
		delete(w.uses, dir)
		w.poller.remove(dir)
	}
	if !last && !gone {
		return
	}
	if cost, ok := w.costs[dir]; ok {
		_ = w.notify.Remove(dir) // gone already, when the directory is
		delete(w.costs, dir)
		w.cost -= cost
	}
}

func noEvents(dir, kind string) *Warning {
	return &Warning{Path: dir, Trouble: NoEvents, Text: fmt.Sprintf("%s is on %s, which does not tell about changes: it is polled, so that saves are seen up to some seconds later", dir, kind),
		Hint: "keep the project on a local file system"}
}

func polled(dir string) *Warning {
	return &Warning{Path: dir, Trouble: Polled, Text: fmt.Sprintf("%s, and what is below, is polled, as `watch: {poll: true}` says, so that saves are seen up to some seconds later", dir)}
}

func noInstance(dir string, err error) *Warning {
	return &Warning{Path: dir, Trouble: Limited, Text: fmt.Sprintf("there is no inotify instance (%v): everything is polled", err), Hint: instanceHint()}
}

func noWatches(dir string, used int) *Warning {
	return &Warning{Path: dir, Trouble: Limited, Text: fmt.Sprintf("the system gives no more watches (stead has %d): %s, and more, is polled", used, dir), Hint: watchHint(used)}
}

// vanishes reports errors that say that a path is not there.
func vanishes(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
