package main

import (
	"sync"
	"time"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/daemon/watch"
)

// watcher is daemon/watch in the daemon's words.
type watcher struct {
	*watch.Watcher
	saves chan daemon.Saved
	stop  chan struct{}
	work  sync.WaitGroup
}

func newWatcher() *watcher {
	w := &watcher{Watcher: watch.New(watch.Options{}), saves: make(chan daemon.Saved), stop: make(chan struct{})}
	w.work.Go(w.pass) // ends with stop
	return w
}

// Close ends it, after whoever reads Saves has ended.
func (w *watcher) Close() {
	close(w.stop)
	w.work.Wait()
	w.Watcher.Close()
}

// Saves implements daemon.Watcher.
func (w *watcher) Saves() <-chan daemon.Saved { return w.saves }

// pass hands on what the watcher says. What nobody takes is merged there.
func (w *watcher) pass() {
	for {
		var saved daemon.Saved
		select {
		case b := <-w.Batches():
			saved = daemon.Saved{Project: b.Project, All: b.Truncated}
			for _, c := range b.Changes {
				saved.Paths = append(saved.Paths, c.Path)
			}
		case warning := <-w.Warnings():
			saved = daemon.Saved{Project: warning.Project, Warning: warning.Text}
			if warning.Hint != "" {
				saved.Warning += "; " + warning.Hint
			}
		case <-w.stop:
			return
		}
		select {
		case w.saves <- saved:
		case <-w.stop:
			return
		}
	}
}

// Set implements daemon.Watcher.
func (w *watcher) Set(project string, roots []daemon.WatchRoot) error {
	var all []watch.Root
	for _, r := range roots {
		all = append(all, watch.Root(r))
	}
	return w.Watcher.Set(project, all)
}

// Newer implements daemon.Watcher.
func (w *watcher) Newer(project string, since time.Time) []daemon.Written {
	var all []daemon.Written
	for _, c := range w.Watcher.Newer(project, since) {
		all = append(all, daemon.Written(c))
	}
	return all
}
