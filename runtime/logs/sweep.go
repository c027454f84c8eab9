package logs

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// flushAfter is how late an index entry may reach its file, and so what a
	// kill can turn into StreamUnknown.
	flushAfter = 100 * time.Millisecond
	// closeAfter and checkEvery keep a file open for at most 45 s of silence.
	closeAfter = 30 * time.Second
	checkEvery = 15 * time.Second
)

// sweeper flushes the indexes of logs, closes the files of idle ones, and
// removes old segments, which takes long enough to slow a writer down: one
// goroutine and one timer for all, neither of which runs while nothing is open.
type sweeper struct {
	log  *slog.Logger
	kick chan struct{} // something is to be flushed
	bin  chan struct{} // something is to be removed
	sync chan struct{} // somebody waits until nothing is being removed
	stop chan struct{}
	done chan struct{}
	once sync.Once

	mu   sync.Mutex
	open map[*log]struct{}
	old  []string // segments to remove: their paths without suffix
}

func newSweeper(logger *slog.Logger) *sweeper {
	w := &sweeper{
		log:  logger,
		kick: make(chan struct{}, 1),
		bin:  make(chan struct{}, 1),
		sync: make(chan struct{}),
		stop: make(chan struct{}),
		done: make(chan struct{}),
		open: map[*log]struct{}{},
	}
	go w.run() // until close
	return w
}

func (w *sweeper) close() {
	w.once.Do(func() { close(w.stop) })
	<-w.done
	w.empty()
}

// add asks for a visit of l soon. The caller holds l.mu.
func (w *sweeper) add(l *log) {
	w.mu.Lock()
	w.open[l] = struct{}{}
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// forget ends visits of l. The caller holds l.mu.
func (w *sweeper) forget(l *log) {
	w.mu.Lock()
	delete(w.open, l)
	w.mu.Unlock()
}

// remove takes over segments that no view has any more.
func (w *sweeper) remove(paths []string) {
	w.mu.Lock()
	w.old = append(w.old, paths...)
	w.mu.Unlock()
	select {
	case w.bin <- struct{}{}:
	default:
	}
}

// empty removes what there is to remove. What it cannot, or does not come to,
// is found and retired again when its log is loaded the next time.
func (w *sweeper) empty() {
	w.mu.Lock()
	old := w.old
	w.old = nil
	w.mu.Unlock()
	for _, path := range old {
		if err := removeSegment(path); err != nil {
			w.log.Warn("remove old logs", "err", err)
		}
	}
}

// settle returns when everything that was handed to remove before is gone.
func (w *sweeper) settle() {
	w.empty()
	select {
	case w.sync <- struct{}{}: // run is not in the middle of it
	case <-w.done:
	}
}

func (w *sweeper) run() {
	defer close(w.done)
	timer := time.NewTimer(checkEvery)
	timer.Stop()
	soon := false // the timer is set to flushAfter
	for {
		select {
		case <-w.stop:
			timer.Stop()
			return
		case <-w.kick:
			if !soon {
				soon = true
				timer.Reset(flushAfter)
			}
		case <-w.bin:
			w.empty()
		case <-w.sync:
		case <-timer.C:
			soon = false
			if w.visit() > 0 {
				timer.Reset(checkEvery)
			}
		}
	}
}

// visit tidies every open log and returns how many are still open.
func (w *sweeper) visit() int {
	w.mu.Lock()
	all := make([]*log, 0, len(w.open))
	for l := range w.open {
		all = append(all, l)
	}
	w.mu.Unlock()
	for _, l := range all {
		l.tidy()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open)
}
