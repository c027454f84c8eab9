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
	jobs   map[supervisor.Name][]func() // a key is there while a goroutine works on it
	closed bool
}

func newQueue(limit int) *queue {
	return &queue{slots: make(chan struct{}, limit), jobs: map[supervisor.Name][]func(){}}
}

// add appends a job to the line of a service.
func (q *queue) add(name supervisor.Name, job func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	waiting, busy := q.jobs[name]
	q.jobs[name] = append(waiting, job)
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
		q.slots <- struct{}{}
		line[0]()
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
