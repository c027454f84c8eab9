package ipc

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/stead-dev/stead/runtime"
)

// errShutdown ends the streams of a server that shuts down.
var errShutdown = runtime.WithHint(fmt.Errorf("the daemon is shutting down: %w", runtime.Unavailable),
	"services keep running unless they were stopped too")

// streams are the calls that last until somebody ends them.
type streams struct {
	mu     sync.Mutex
	ended  bool
	next   int
	cancel map[int]context.CancelCauseFunc
}

// add returns a context that also ends, with errShutdown as its cause, when
// end is called; and a function that forgets it.
func (s *streams) add(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		cancel(errShutdown)
		return ctx, func() {}
	}
	if s.cancel == nil {
		s.cancel = map[int]context.CancelCauseFunc{}
	}
	id := s.next
	s.next++
	s.cancel[id] = cancel
	return ctx, func() {
		s.mu.Lock()
		delete(s.cancel, id)
		s.mu.Unlock()
		cancel(nil)
	}
}

// end ends all streams, those to come too.
func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, cancel := range s.cancel {
		cancel(errShutdown)
	}
}

// endWithServer ends streams when the server shuts down, and tells their
// clients so: else each would keep it alive for as long as the client likes.
func (s *Server) endWithServer(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		if spec.StreamType == connect.StreamTypeUnary {
			return next(ctx, spec, stream)
		}
		ctx, forget := s.streams.add(ctx)
		defer forget()
		err := next(ctx, spec, stream)
		if err != nil && context.Cause(ctx) == errShutdown {
			return errShutdown
		}
		return err
	}
}

type readEnderKey struct{}

// withReadEnder lets a handler end its own wait for the client's next message
// (endReads). Connect offers no way to, and a goroutine that waits for ever
// in Receive would outlive its handler.
func withReadEnder(ctx context.Context, w http.ResponseWriter) context.Context {
	return context.WithValue(ctx, readEnderKey{}, func() {
		// Any time that has passed will do. Errors mean that nothing is read here.
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
	})
}

// endReads makes a pending Receive of the call's stream fail, and all later ones.
func endReads(ctx context.Context) {
	if end, ok := ctx.Value(readEnderKey{}).(func()); ok {
		end()
	}
}
