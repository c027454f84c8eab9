package watch

import "time"

// Warmed reports whether the content of every file is known.
func (w *Watcher) Warmed() (done bool) {
	_ = w.ask(func(o *owner) { done = len(o.cold) == 0 })
	return done
}

// Narrow leaves room for so many events: more are lost.
func (w *Watcher) Narrow(room int) {
	w.inbox.mu.Lock()
	defer w.inbox.mu.Unlock()
	w.inbox.room = room
}

// Watched returns how many directories have a watch, or are polled.
func (w *Watcher) Watched() (events, polled int) {
	w.watches.mu.Lock()
	defer w.watches.mu.Unlock()
	return len(w.watches.costs), len(w.watches.uses) - len(w.watches.costs)
}

// Grace is how long a reload's writes count as its own.
const Grace = reloadGrace + 50*time.Millisecond

const Calm = calm

const (
	ReturnLimit = returnLimit
	SeesWriters = seesWriters
)

// Pending reports whether a change waits for the consumer.
func (w *Watcher) Pending(project, path string) (found bool) {
	_ = w.ask(func(o *owner) {
		for _, b := range o.pending {
			for _, c := range b.Changes {
				found = found || b.Project == project && c.Path == path
			}
		}
	})
	return found
}
