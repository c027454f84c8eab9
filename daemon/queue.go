package daemon

import (
	"sync"

	"github.com/stead-dev/stead/supervisor"
)

// queue runs jobs: those of one service in the order added, those of
// different services concurrently, at most limit at once. Adding never
// blocks. What waits is bounded by the supervisor, which gives each
// generation each command once.
type queue struct {
	slots   chan struct{}
	running sync.WaitGroup

	mu     sync.Mutex
	jobs   map[supervisor.Name][]job // a key is there while a goroutine works on it
	closed bool
}

// job is what is to be done, and what is waited for before, if anything: that
// is in the way of the service's own jobs and of no other's.
type job struct{ wait, do func() }

func newQueue(limit int) *queue {
	return &queue{slots: make(chan struct{}, limit), jobs: map[supervisor.Name][]job{}}
}

// add appends a job to the line of a service.
func (q *queue) add(name supervisor.Name, do func()) { q.addAfter(name, nil, do) }

// addAfter is add for a job that waits for something first.
func (q *queue) addAfter(name supervisor.Name, wait, do func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	waiting, busy := q.jobs[name]
	q.jobs[name] = append(waiting, job{wait, do})
	if !busy {
		q.running.Add(1)
		go q.work(name) // ends when the line is empty; close waits for it
	}
}

func (q *queue) work(name supervisor.Name) {
	defer q.running.Done()
	for {
		q.mu.Lock()
		line := q.jobs[name]
		if len(line) == 0 {
			delete(q.jobs, name)
			q.mu.Unlock()
			return
		}
		q.jobs[name] = line[1:]
		q.mu.Unlock()
		if wait := line[0].wait; wait != nil {
			wait()
		}
		q.slots <- struct{}{}
		line[0].do()
		<-q.slots
	}
}

// close takes no more jobs and waits for those that are there.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.running.Wait()
}
