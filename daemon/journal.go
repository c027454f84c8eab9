package daemon

import (
	"context"
	"sync"
)

// journal hands transitions to readers: the newest from memory, older ones
// from the store.
type journal struct {
	store Store

	mu     sync.Mutex
	recent []Event       // by rising sequence
	last   uint64        // sequence of the newest event
	more   chan struct{} // closed when there are more
}

// recentLimit is how many transitions are kept in memory. It must hold all
// that were published but not committed, so that none is missing between
// memory and store: a flush comes after one second at the latest.
const recentLimit = 8192

func newJournal(store Store, last uint64) *journal {
	return &journal{store: store, last: last, more: make(chan struct{})}
}

// number gives events their sequences, without making them known yet.
func (j *journal) number(events []Event) []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range events {
		events[i].Sequence = j.last + 1 + uint64(i)
	}
	return events
}

// publish makes numbered events known to readers.
func (j *journal) publish(events []Event) {
	if len(events) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = events[len(events)-1].Sequence
	j.recent = append(j.recent, events...)
	if extra := len(j.recent) - recentLimit; extra > 0 {
		j.recent = append([]Event(nil), j.recent[extra:]...)
	}
	close(j.more)
	j.more = make(chan struct{})
}

// after returns events after a sequence, and a channel that is closed when
// there are newer ones than the newest now.
func (j *journal) after(sequence uint64) ([]Event, <-chan struct{}, error) {
	j.mu.Lock()
	recent, more, last := j.recent, j.more, j.last
	j.mu.Unlock()
	if sequence >= last {
		return nil, more, nil
	}
	if len(recent) > 0 && sequence+1 >= recent[0].Sequence {
		return recent[sequence+1-recent[0].Sequence:], more, nil
	}
	const page = 1000
	old, err := j.store.Events(sequence, page)
	if err != nil {
		return nil, nil, err
	}
	if len(old) == 0 {
		return recent, more, nil
	}
	return old, more, nil
}

// Events calls fn with what happened after a sequence, oldest first, and with
// follow goes on until ctx ends.
func (d *Daemon) Events(ctx context.Context, after uint64, follow bool, fn func([]Event) error) error {
	for {
		events, more, err := d.journal.after(after)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			after = events[len(events)-1].Sequence
			if err := fn(events); err != nil {
				return err
			}
			continue
		}
		if !follow {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		case <-d.ended:
			return nil
		}
	}
}
