package ipctest

import (
	"io"
	"sync"

	"github.com/stead-dev/stead/runtime"
)

// Echo is a Session that gives back what it is sent, and exits with code 7
// after EOF. The zero value is not ready; see NewEcho.
type Echo struct {
	out    chan runtime.TerminalOutput
	closed chan struct{}

	mu    sync.Mutex
	sizes []runtime.Size
	ended bool
}

// NewEcho returns a session.
func NewEcho() *Echo {
	return &Echo{out: make(chan runtime.TerminalOutput, 16), closed: make(chan struct{})}
}

// Sizes are those it was told.
func (e *Echo) Sizes() []runtime.Size {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]runtime.Size(nil), e.sizes...)
}

// Closed is closed by Close.
func (e *Echo) Closed() <-chan struct{} { return e.closed }

// Send implements runtime.Session.
func (e *Echo) Send(in runtime.TerminalInput) error {
	if in.Resize != nil {
		e.mu.Lock()
		e.sizes = append(e.sizes, *in.Resize)
		e.mu.Unlock()
	}
	if len(in.Data) > 0 {
		if err := e.give(runtime.TerminalOutput{Data: in.Data, Stream: runtime.StreamTerminal}); err != nil {
			return err
		}
	}
	if in.EOF {
		return e.give(runtime.TerminalOutput{Exit: &runtime.Exit{Code: 7}})
	}
	return nil
}

func (e *Echo) give(out runtime.TerminalOutput) error {
	select {
	case e.out <- out:
		return nil
	case <-e.closed:
		return io.ErrClosedPipe
	}
}

// Receive implements runtime.Session.
func (e *Echo) Receive() (runtime.TerminalOutput, error) {
	e.mu.Lock()
	ended := e.ended
	e.mu.Unlock()
	if ended {
		return runtime.TerminalOutput{}, io.EOF
	}
	select {
	case out := <-e.out:
		if out.Exit != nil {
			e.mu.Lock()
			e.ended = true
			e.mu.Unlock()
		}
		return out, nil
	case <-e.closed:
		return runtime.TerminalOutput{}, io.ErrClosedPipe
	}
}

// Close implements runtime.Session.
func (e *Echo) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.closed:
	default:
		close(e.closed)
	}
	return nil
}
