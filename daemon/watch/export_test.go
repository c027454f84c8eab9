package watch

import "time"

// Warmed reports whether the content of every file is known.
func (w *Watcher) Warmed() (done bool) {
	_ = w.ask(func(o *owner) { done = len(o.cold) == 0 })
	return done
}

// Overflow has the watcher believe that events were lost.
func (w *Watcher) Overflow() { w.inbox.lose() }

// Deaf has events of the kernel thrown away until hear is called.
func (w *Watcher) Deaf() (hear func()) {
	w.inbox.mu.Lock()
	w.inbox.deaf = true
	w.inbox.mu.Unlock()
	return func() {
		w.inbox.mu.Lock()
		defer w.inbox.mu.Unlock()
		w.inbox.deaf = false
	}
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
