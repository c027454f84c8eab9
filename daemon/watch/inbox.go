package watch

import (
	"errors"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// maxInbox is four times the queue of the kernel (max_queued_events is 16,384
// by default): what is beyond is found by looking at everything.
const maxInbox = 1 << 16

// event is a path to look at.
type event struct {
	path string
	op   fsnotify.Op
}

// inbox takes events from the kernel's queue at once, whatever the owner is
// doing, so that the queue does not overflow. Events of one path are merged,
// at the place of the first.
type inbox struct {
	ready chan struct{} // has room for one: there is something to take

	mu     sync.Mutex
	room   int // for events
	events []event
	index  map[string]int
	lost   bool // events were: everything must be looked at
}

func newInbox() *inbox {
	return &inbox{room: maxInbox, ready: make(chan struct{}, 1), index: make(map[string]int)}
}

// pump ends when the notifier is closed.
func (b *inbox) pump(notify *fsnotify.Watcher) {
	for {
		select {
		case e, ok := <-notify.Events:
			if !ok {
				return
			}
			if e.Name != "" { // an event of a watch that was just removed
				b.put(event{e.Name, e.Op})
			}
		case err, ok := <-notify.Errors:
			if !ok {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				b.lose()
			}
		}
	}
}

func (b *inbox) put(e event) {
	b.mu.Lock()
	if i, ok := b.index[e.path]; ok {
		b.events[i].op |= e.op
	} else if len(b.events) < b.room {
		b.index[e.path] = len(b.events)
		b.events = append(b.events, e)
	} else {
		b.lost = true
	}
	b.mu.Unlock()
	b.wake()
}

func (b *inbox) lose() {
	b.mu.Lock()
	b.lost = true
	b.mu.Unlock()
	b.wake()
}

func (b *inbox) wake() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

func (b *inbox) take() (events []event, lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	events, lost = b.events, b.lost
	b.events, b.lost = nil, false
	if len(events) > 0 {
		b.index = make(map[string]int)
	}
	return events, lost
}
