package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/klog/v2"

	"github.com/stead-dev/stead/runtime"
)

const (
	outputAhead  = 16               // chunks that wait for Receive
	exitPatience = 10 * time.Second // for the cluster to say how what one was attached to has ended
)

// session implements runtime.Session by a stream of the cluster's.
type session struct {
	tty    bool
	cancel context.CancelFunc
	over   <-chan struct{} // closed when the session is, or its context
	in     *io.PipeWriter
	sizes  chan runtime.Size // holds the newest
	out    chan runtime.TerminalOutput
	done   chan struct{} // closed when the stream has ended
	err    error         // then: why, nil for an end in order
	close  sync.Once
}

// session opens a stream. It returns at once: what the cluster has against it
// comes by Receive.
func (r *Runtime) session(ctx context.Context, at *url.URL, size runtime.Size, tty bool, exit func(context.Context) *runtime.Exit) (runtime.Session, error) {
	stream, err := executor(r.config, at)
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return newSession(ctx, stream, size, tty, exit), nil
}

// newSession runs stream. exit, when not nil, tells how what is attached to
// has ended, after the stream has.
func newSession(ctx context.Context, stream remotecommand.Executor, size runtime.Size, tty bool, exit func(context.Context) *runtime.Exit) *session {
	ctx, cancel := context.WithCancel(ctx)
	stdin, in := io.Pipe()
	s := &session{
		tty: tty, cancel: cancel, over: ctx.Done(), in: in, sizes: make(chan runtime.Size, 1),
		out: make(chan runtime.TerminalOutput, outputAhead), done: make(chan struct{}),
	}
	options := remotecommand.StreamOptions{Stdin: stdin, Stdout: s.writer(runtime.StreamStdout), Tty: tty}
	if tty {
		options.Stdout, options.TerminalSizeQueue = s.writer(runtime.StreamTerminal), s
		s.resize(size)
	} else {
		options.Stderr = s.writer(runtime.StreamStderr)
	}
	go s.run(ctx, stream, options, stdin, exit) // ends with the stream, at the latest when the session is closed
	return s
}

func (s *session) run(ctx context.Context, stream remotecommand.Executor, options remotecommand.StreamOptions, stdin *io.PipeReader, exit func(context.Context) *runtime.Exit) {
	defer close(s.done)
	// What the client would log are ends of connections, told again below.
	err := stream.StreamWithContext(klog.NewContext(ctx, klog.Logger{}), options)
	stdin.CloseWithError(io.ErrClosedPipe) // whoever sends is not kept
	var code exec.CodeExitError
	end := &runtime.Exit{}
	switch {
	case ctx.Err() != nil:
		return
	case errors.As(err, &code):
		end.Code = code.Code
	case err != nil && strings.Contains(err.Error(), "error executing command in container"): // the kubelet's words
		end = &runtime.Exit{Code: -1, Error: err.Error()}
	case err != nil:
		s.err = classed(fmt.Errorf("terminal: %w", err))
		return
	case exit != nil:
		patient, cancel := context.WithTimeout(ctx, exitPatience)
		defer cancel()
		if end = exit(patient); end == nil {
			s.err = fmt.Errorf("terminal: the connection was lost: %w", runtime.Unavailable)
			return
		}
	}
	select {
	case s.out <- runtime.TerminalOutput{Exit: end}:
	case <-ctx.Done():
	}
}

// Send implements runtime.Session.
func (s *session) Send(in runtime.TerminalInput) error {
	if in.Resize != nil {
		s.resize(*in.Resize)
	}
	if len(in.Data) > 0 {
		if _, err := s.in.Write(in.Data); err != nil {
			return fmt.Errorf("terminal: the session has ended: %w", runtime.Unavailable)
		}
	}
	if in.EOF && !s.tty { // on a terminal it means nothing
		s.in.Close()
	}
	return nil
}

// Receive implements runtime.Session.
func (s *session) Receive() (runtime.TerminalOutput, error) {
	select {
	case out := <-s.out:
		return out, nil
	case <-s.done:
	case <-s.over:
		return runtime.TerminalOutput{}, io.EOF
	}
	select {
	case out := <-s.out:
		return out, nil
	default:
	}
	if s.err != nil {
		return runtime.TerminalOutput{}, s.err
	}
	return runtime.TerminalOutput{}, io.EOF
}

// Close implements runtime.Session. It returns when the stream has ended.
func (s *session) Close() error {
	s.close.Do(func() {
		s.cancel()
		s.in.Close()
	})
	<-s.done
	return nil
}

// resize replaces a size that was not sent yet.
func (s *session) resize(size runtime.Size) {
	if size.Columns <= 0 || size.Rows <= 0 {
		size = runtime.Size{Columns: 80, Rows: 24}
	}
	for {
		select {
		case s.sizes <- size:
			return
		default:
		}
		select {
		case <-s.sizes:
		default:
		}
	}
}

// Next implements remotecommand.TerminalSizeQueue.
func (s *session) Next() *remotecommand.TerminalSize {
	select {
	case size := <-s.sizes:
		return &remotecommand.TerminalSize{Width: uint16(min(size.Columns, 65535)), Height: uint16(min(size.Rows, 65535))}
	case <-s.done:
	case <-s.over:
	}
	return nil
}

// writer hands output to Receive. One that does not read makes the program
// wait.
func (s *session) writer(stream runtime.Stream) io.Writer { return outputWriter{s, stream} }

type outputWriter struct {
	s      *session
	stream runtime.Stream
}

func (w outputWriter) Write(p []byte) (int, error) {
	out := runtime.TerminalOutput{Data: append([]byte(nil), p...), Stream: w.stream}
	select {
	case w.s.out <- out:
		return len(p), nil
	case <-w.s.over:
		return 0, io.ErrClosedPipe
	}
}
