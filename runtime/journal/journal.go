// Package journal numbers what a runtime has to tell, and tells it to those
// who Watch. All methods may be called concurrently; none but Watch blocks.
package journal

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

const (
	ExitsKept  = 256  // per generation, by the contract
	watchLimit = 4096 // events that wait for one watcher: about 1 MB
)

// Journal keeps what Watch tells, as runtime.Event promises. That is the
// present and the exits nobody has acknowledged, not a history: a watcher
// that fell too far behind gets the present once more.
type Journal struct {
	now  func() time.Time
	kept int // exits of a generation that are told one by one

	mu       sync.Mutex
	sequence uint64
	stories  map[runtime.ID]*story
	order    []runtime.ID // by first event, so that a present reads like what happened
	watchers map[*watcher]struct{}
	closed   bool
}

// story is the present of one generation.
type story struct {
	generation runtime.Event
	summary    runtime.Event // exits that are only counted; Summary 0: none
	exits      []runtime.Event
	live       []liveEvents
}

type liveEvents struct{ started, ready runtime.Event }

type watcher struct {
	queue []runtime.Event
	again bool          // the queue was dropped: send the present
	wake  chan struct{} // holds one: there is something to send
}

// New returns an empty journal; now is what events are stamped with. Of each
// generation that many exits are kept, and the rest only counted: ExitsKept, but
// in tests for which each exit takes a second.
func New(now func() time.Time, kept int) *Journal {
	return &Journal{now: now, kept: kept, stories: map[runtime.ID]*story{}, watchers: map[*watcher]struct{}{}}
}

// Generation tells where a generation stands.
func (j *Journal) Generation(id runtime.ID, status runtime.GenerationStatus) {
	j.publish(runtime.Event{Kind: runtime.GenerationEvent, ID: id, Generation: &status})
}

// Started tells that an instance runs.
func (j *Journal) Started(id runtime.InstanceID, s runtime.Started) {
	j.publish(runtime.Event{Kind: runtime.StartedEvent, ID: id.ID, Instance: id, Started: &s})
}

// Ready tells what an instance's readiness has become.
func (j *Journal) Ready(id runtime.InstanceID, s runtime.Readiness) {
	j.publish(runtime.Event{Kind: runtime.ReadyEvent, ID: id.ID, Instance: id, Ready: &s})
}

// Exited tells the end of an instance.
func (j *Journal) Exited(id runtime.InstanceID, e runtime.Exit) {
	j.publish(runtime.Event{Kind: runtime.ExitedEvent, ID: id.ID, Instance: id, Exit: &e})
}

// publish never blocks. Events are immutable once they are in.
func (j *Journal) publish(e runtime.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sequence++
	e.Sequence, e.Time = j.sequence, j.now()
	s := j.stories[e.ID]
	if s == nil {
		s = &story{}
		j.stories[e.ID] = s
		j.order = append(j.order, e.ID)
	}
	s.note(e, j.kept)
	for w := range j.watchers {
		w.add(e)
	}
}

// note makes e part of the present, in which kept exits are.
func (s *story) note(e runtime.Event, kept int) {
	at := slices.IndexFunc(s.live, func(l liveEvents) bool { return l.started.Instance == e.Instance })
	switch e.Kind {
	case runtime.GenerationEvent:
		s.generation = e
	case runtime.StartedEvent:
		s.live = append(s.live, liveEvents{started: e})
	case runtime.ReadyEvent:
		if at >= 0 {
			s.live[at].ready = e
		}
	case runtime.ExitedEvent:
		if at >= 0 {
			s.live = slices.Delete(s.live, at, at+1)
		}
		s.exits = append(s.exits, e)
		if extra := len(s.exits) - kept; extra > 0 {
			last := s.exits[extra-1]
			s.summary = runtime.Event{
				Sequence: last.Sequence, Time: last.Time, Kind: runtime.SummaryEvent,
				ID: e.ID, Summary: s.summary.Summary + extra,
			}
			s.exits = slices.Delete(s.exits, 0, extra)
		}
	}
}

// present appends what is, in the order that runtime.Event promises.
func (j *Journal) present(to []runtime.Event) []runtime.Event {
	for _, id := range j.order {
		s := j.stories[id]
		if s.generation.Kind != 0 {
			to = append(to, s.generation)
		}
		if s.summary.Summary > 0 {
			to = append(to, s.summary)
		}
		to = append(to, s.exits...)
		for _, l := range s.live {
			to = append(to, l.started)
			if l.ready.Kind != 0 {
				to = append(to, l.ready)
			}
		}
	}
	return append(to, runtime.Event{Sequence: j.sequence, Time: j.now(), Kind: runtime.SyncedEvent})
}

func (w *watcher) add(e runtime.Event) {
	switch {
	case w.again:
	case len(w.queue) >= watchLimit:
		w.queue, w.again = nil, true
	default:
		w.queue = append(w.queue, e)
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Watch sends the present and then changes until ctx ends or fn fails.
func (j *Journal) Watch(ctx context.Context, fn func(runtime.Event) error) error {
	w := &watcher{again: true, wake: make(chan struct{}, 1)}
	w.wake <- struct{}{}
	j.mu.Lock()
	j.watchers[w] = struct{}{}
	j.mu.Unlock()
	defer func() {
		j.mu.Lock()
		delete(j.watchers, w)
		j.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
		}
		batch, closed := j.take(w)
		for _, e := range batch {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := fn(e); err != nil {
				return err
			}
		}
		if closed {
			return fmt.Errorf("watch: the runtime has ended: %w", runtime.Unavailable)
		}
	}
}

// take returns what w has not been sent yet.
func (j *Journal) take(w *watcher) ([]runtime.Event, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	batch := w.queue
	w.queue = nil
	if w.again {
		w.again = false
		batch = j.present(nil)
	}
	return batch, j.closed
}

// Forget drops the exits up to sequence and the generations that had ended by
// it, whose IDs it returns.
func (j *Journal) Forget(sequence uint64) []runtime.ID {
	j.mu.Lock()
	defer j.mu.Unlock()
	var gone []runtime.ID
	for _, id := range j.order {
		s := j.stories[id]
		if s.summary.Sequence <= sequence {
			s.summary = runtime.Event{}
		}
		s.exits = slices.DeleteFunc(s.exits, func(e runtime.Event) bool { return e.Sequence <= sequence })
		if g := s.generation; g.Kind != 0 && g.Generation.Phase.Final() && g.Sequence <= sequence {
			gone = append(gone, id)
			delete(j.stories, id)
		}
	}
	if len(gone) > 0 {
		j.order = slices.DeleteFunc(j.order, func(id runtime.ID) bool { return j.stories[id] == nil })
	}
	return gone
}

// Close lets every watcher send what it has and end.
func (j *Journal) Close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	for w := range j.watchers {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}
