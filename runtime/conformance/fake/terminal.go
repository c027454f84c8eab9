package fake

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/stead-dev/stead/runtime"
)

// Terminal implements runtime.Runtime: a session that echoes what is sent,
// answers a resize by the new size, and ends with code 0 at EOF.
func (r *Runtime) Terminal(ctx context.Context, req runtime.TerminalRequest) (runtime.Session, error) {
	if (req.Attach == nil) == (req.Run == nil) {
		return nil, fmt.Errorf("terminal: exactly one of attach and run: %w", runtime.Invalid)
	}
	if req.Attach != nil {
		if err := r.attachable(*req.Attach); err != nil {
			return nil, fmt.Errorf("attach to %s: %w", req.Attach, err)
		}
	}
	s := &session{out: make(chan runtime.TerminalOutput, 64), closed: make(chan struct{})}
	context.AfterFunc(ctx, s.close)
	return s, nil
}

func (r *Runtime) attachable(id runtime.InstanceID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.generations[id.ID]
	if g == nil || id.Replica < 0 || id.Replica >= len(g.replicas) || !g.replicas[id.Replica].live {
		return runtime.NotFound
	}
	if !g.spec.Terminal {
		return fmt.Errorf("it has no terminal: %w", runtime.Invalid)
	}
	return nil
}

type session struct {
	out    chan runtime.TerminalOutput
	closed chan struct{}
	once   sync.Once
}

func (s *session) Send(in runtime.TerminalInput) error {
	out := runtime.TerminalOutput{Data: append([]byte(nil), in.Data...), Stream: runtime.StreamTerminal}
	if in.Resize != nil {
		out.Data = fmt.Appendf(out.Data, "%dx%d\n", in.Resize.Columns, in.Resize.Rows)
	}
	if in.EOF {
		out.Exit = &runtime.Exit{}
	}
	select {
	case s.out <- out:
		return nil
	case <-s.closed:
		return io.EOF
	}
}

func (s *session) Receive() (runtime.TerminalOutput, error) {
	select {
	case out := <-s.out:
		if out.Exit != nil {
			s.close()
		}
		return out, nil
	case <-s.closed:
		return runtime.TerminalOutput{}, io.EOF
	}
}

func (s *session) Close() error {
	s.close()
	return nil
}

func (s *session) close() { s.once.Do(func() { close(s.closed) }) }
