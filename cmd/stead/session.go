package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/term"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// session connects this program's stdin, stdout and stderr with a process
// that the daemon reaches. Four goroutines take part: the caller's receives,
// one reads stdin, one sends (a stream has one sender), and, when raw, a
// channel tells of resizes. The last three end before run returns.
type session struct {
	*cli
	raw        bool // stdin and stdout are a terminal, to be the other side's
	detachable bool // the detach keys end it
}

// errDetached ends a session by the user's wish.
var errDetached = errors.New("detached")

// onTerminal reports whether stdin and stdout are terminals.
func (c *cli) onTerminal() bool {
	_, in := terminal(c.in)
	_, out := terminal(c.out)
	return in && out
}

// run carries the session until the process ends, or the user detaches. Its
// error has the process's exit code.
func (s *session) run(parent context.Context, client steadpb.DaemonClient, open *steadpb.TerminalOpen) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	stream, err := client.Terminal(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }() // what matters came by Receive
	open.Size = s.size()
	if err := stream.Send(&steadpb.TerminalRequest{Open: open}); err != nil && !errors.Is(err, io.EOF) {
		return err // io.EOF: Receive has the reason
	}
	restore, err := s.makeRaw()
	if err != nil {
		return err
	}
	input := make(chan *steadpb.TerminalRequest)
	stop, err := s.readInput(ctx, input, cancel)
	if err != nil {
		restore()
		return err
	}
	sent := make(chan struct{})
	go func() { // ends with ctx
		defer close(sent)
		s.send(ctx, stream, input)
	}()
	exit, err := s.receive(stream)
	detached := errors.Is(context.Cause(ctx), errDetached)
	cancel(nil)
	stop()
	<-sent
	restore()
	return s.outcome(parent, exit, err, detached)
}

// outcome is what there is to say once the terminal is itself again.
func (s *session) outcome(ctx context.Context, exit *steadpb.TerminalExit, err error, detached bool) error {
	switch {
	case detached:
		fmt.Fprintln(s.err, "detached")
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case exit.Error != "":
		return errors.New(exit.Error)
	case exit.Signal != "":
		s.say("error", "ended by "+exit.Signal)
		return ended{code: 128 + signalNumber(exit.Signal)}
	case exit.Code != 0:
		return ended{code: int(exit.Code)}
	}
	return nil
}

// receive writes what the process writes, and returns how it ended.
func (s *session) receive(stream steadpb.DaemonTerminalClientStream) (*steadpb.TerminalExit, error) {
	for {
		message, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the session has ended without an exit code")
		}
		if err != nil {
			return nil, err
		}
		to := s.out
		if message.Stream == "stderr" {
			to = s.err
		}
		if _, err := to.Write(message.Data); err != nil {
			return nil, err
		}
		if message.Exit != nil {
			return message.Exit, nil
		}
	}
}

// send sends input and, from a terminal, its new size each time that changes.
func (s *session) send(ctx context.Context, stream steadpb.DaemonTerminalClientStream, input <-chan *steadpb.TerminalRequest) {
	// HTTP/2 does not look at ctx while it waits for more to send: without an
	// end to that, Receive would wait for ever.
	defer func() { _ = stream.CloseSend() }()
	resized := make(chan os.Signal, 1)
	if s.raw {
		signal.Notify(resized, resizeSignals()...)
		defer signal.Stop(resized)
	}
	for {
		var message *steadpb.TerminalRequest
		select {
		case message = <-input:
		case <-resized:
			message = &steadpb.TerminalRequest{Resize: s.size()}
		case <-ctx.Done():
			return
		}
		if stream.Send(message) != nil {
			return // Receive has the reason
		}
	}
}

// readInput starts to read stdin; stop ends that and waits for it. The
// detach keys cancel with errDetached.
func (s *session) readInput(ctx context.Context, input chan<- *steadpb.TerminalRequest, cancel context.CancelCauseFunc) (stop func(), err error) {
	reader, err := newInterruptibleReader(s.in)
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() { // ends with ctx, the end of stdin, the detach keys, or stop
		defer close(done)
		var keys detachKeys
		buffer := make([]byte, 4<<10)
		for {
			n, err := reader.Read(buffer)
			data := append([]byte(nil), buffer[:n]...)
			detach := false
			if s.detachable && s.raw {
				data, detach = keys.filter(data)
			}
			if len(data) > 0 && !offer(ctx, input, &steadpb.TerminalRequest{Data: data}) {
				return
			}
			if detach {
				cancel(errDetached)
				return
			}
			if err != nil {
				offer(ctx, input, &steadpb.TerminalRequest{Eof: true})
				return
			}
		}
	}()
	return func() {
		reader.interrupt()
		<-done
		reader.close()
	}, nil
}

func offer(ctx context.Context, input chan<- *steadpb.TerminalRequest, message *steadpb.TerminalRequest) bool {
	select {
	case input <- message:
		return true
	case <-ctx.Done():
		return false
	}
}

// makeRaw hands the terminal's keys to the other side as they are; restore
// gives them back.
func (s *session) makeRaw() (restore func(), err error) {
	if !s.raw {
		return func() {}, nil
	}
	fd := int(s.in.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("set up the terminal: %w", err)
	}
	return func() { _ = term.Restore(fd, state) }, nil // fails only when the terminal is gone
}

func (s *session) size() *steadpb.TerminalSize {
	fd, ok := terminal(s.out)
	if !ok {
		return nil
	}
	columns, rows, err := term.GetSize(fd)
	if err != nil {
		return nil
	}
	return &steadpb.TerminalSize{Columns: int32(columns), Rows: int32(rows)}
}
