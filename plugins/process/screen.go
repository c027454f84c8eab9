package process

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

const (
	screenKept  = 4 << 10  // replayed to whoever attaches, so that a prompt is seen
	screenLimit = 64 << 10 // that wait for one session
	sendLimit   = 5 * time.Second
)

// screenLost stands where a session was too slow for the output.
const screenLost = "\r\n[stead: output lost]\r\n"

// screens are the terminals of a generation's instances.
type screens struct {
	mu sync.Mutex
	by map[int]*instance
}

func (s *screens) set(replica int, in *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[int]*instance{}
	}
	s.by[replica] = in
}

// all returns the instances that run.
func (s *screens) all() []*instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*instance
	for _, replica := range slices.Sorted(maps.Keys(s.by)) {
		if in := s.by[replica]; in != nil {
			all = append(all, in)
		}
	}
	return all
}

// find returns the screen of the instance, or with attempt 0 of whichever runs
// as that replica; nil if it does not run.
func (s *screens) find(id runtime.InstanceID) *screen {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.by[id.Replica]
	if in == nil || id.Attempt != 0 && in.id.Attempt != id.Attempt {
		return nil
	}
	return in.screen
}

// screen is the terminal of an instance with everybody who looks at it. It
// never makes the service wait: a session that reads too slowly loses what it
// has not read, and is told.
type screen struct {
	master *os.File

	mu       sync.Mutex
	recent   []byte
	sessions map[*attached]struct{}
	exit     *runtime.Exit // it has ended
}

func newScreen(master *os.File) *screen {
	return &screen{master: master, sessions: map[*attached]struct{}{}}
}

// show is called with all output, in order.
func (s *screen) show(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent = append(s.recent, data...)
	s.recent = append(s.recent[:0], s.recent[max(0, len(s.recent)-screenKept):]...)
	for a := range s.sessions {
		a.add(data)
	}
}

// end tells every session how the instance ended.
func (s *screen) end(e runtime.Exit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exit = &e
	for a := range s.sessions {
		a.finish(&e)
	}
}

func (s *screen) attach() *attached {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &attached{screen: s, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	a.add(s.recent)
	if s.exit != nil {
		a.finish(s.exit)
	}
	s.sessions[a] = struct{}{}
	return a
}

// attached is one session at a screen.
type attached struct {
	screen *screen
	wake   chan struct{} // holds one: there is something to receive
	closed chan struct{}

	mu   sync.Mutex
	data []byte
	exit *runtime.Exit
	last bool // exit was received
	done bool // closed
}

var _ runtime.Session = (*attached)(nil)

func (a *attached) add(data []byte) {
	if len(data) == 0 {
		return
	}
	a.mu.Lock()
	if len(a.data)+len(data) > screenLimit {
		a.data = append([]byte(nil), screenLost...)
	}
	a.data = append(a.data, data...)
	a.mu.Unlock()
	a.rouse()
}

func (a *attached) finish(e *runtime.Exit) {
	a.mu.Lock()
	a.exit = e
	a.mu.Unlock()
	a.rouse()
}

func (a *attached) rouse() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Receive implements runtime.Session.
func (a *attached) Receive() (runtime.TerminalOutput, error) {
	for {
		if out, err := a.next(); err != nil || out.Data != nil || out.Exit != nil {
			return out, err
		}
		select {
		case <-a.wake:
		case <-a.closed:
		}
	}
}

func (a *attached) next() (runtime.TerminalOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := runtime.TerminalOutput{Stream: runtime.StreamTerminal}
	switch {
	case a.done || a.last:
		return runtime.TerminalOutput{}, io.EOF
	case len(a.data) > 0:
		out.Data, a.data = a.data, nil
	case a.exit != nil:
		out.Exit, a.last = a.exit, true
	}
	return out, nil
}

// Send implements runtime.Session.
func (a *attached) Send(in runtime.TerminalInput) error { return sendTerminal(a.screen.master, in) }

// Close implements runtime.Session.
func (a *attached) Close() error {
	a.screen.mu.Lock()
	delete(a.screen.sessions, a)
	a.screen.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.done {
		a.done = true
		close(a.closed)
	}
	return nil
}

// sendTerminal writes input to a terminal, or changes its size. EOF means
// nothing here: that is for programs without a terminal.
func sendTerminal(master *os.File, in runtime.TerminalInput) error {
	if in.Resize != nil {
		if err := resize(master, *in.Resize); err != nil {
			return fmt.Errorf("resize the terminal: %w: %w", err, runtime.Unavailable)
		}
	}
	if len(in.Data) == 0 {
		return nil
	}
	_ = master.SetWriteDeadline(time.Now().Add(sendLimit)) // where there are none, a write waits for the program
	_, err := master.Write(in.Data)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the program does not read its terminal: %w", runtime.Unavailable)
	case err != nil:
		return fmt.Errorf("write to the terminal: %w: %w", err, runtime.Unavailable)
	}
	return nil
}
