package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stead-dev/stead/runtime"
)

// ended is a runtime whose sessions end by err.
type ended struct {
	runtime.Runtime
	err error
}

func (e ended) Terminal(context.Context, runtime.TerminalRequest) (runtime.Session, error) {
	return e, nil
}

func (e ended) Send(runtime.TerminalInput) error { return nil }
func (e ended) Close() error                     { return nil }
func (e ended) Receive() (runtime.TerminalOutput, error) {
	return runtime.TerminalOutput{}, e.err
}

// TestTheErrorOfASessionIsNotCanceled: gRPC ends the context of a stream with
// the stream, before anybody asks what the error was.
func TestTheErrorOfASessionIsNotCanceled(t *testing.T) {
	why := runtime.WithHint(fmt.Errorf("terminal: the connection was lost: %w", runtime.Unavailable), "attach again")
	session, err := carried(t, ended{err: why}).Terminal(t.Context(), runtime.TerminalRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	_, err = session.Receive()
	if err == nil || err.Error() != why.Error() || runtime.Class(err) != runtime.Unavailable || runtime.Hint(err) != "attach again" {
		t.Errorf("received %v (hint %q)", err, runtime.Hint(err))
	}
	for end := error(nil); end == nil; { // gRPC tells a sender when it has noticed itself
		if end = session.Send(runtime.TerminalInput{Data: []byte("x")}); end != nil && !errors.Is(end, io.EOF) {
			t.Errorf("sent: %v", end)
		}
	}
}

func TestASessionWhoseCallerHasGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	session, err := carried(t, ended{}).Terminal(ctx, runtime.TerminalRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	cancel()
	for err = nil; err == nil; {
		_, err = session.Receive()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("received %v", err)
	}
}
