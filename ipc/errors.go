package ipc

import (
	"context"
	"errors"
	"io"
	"syscall"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/proto"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// codes is the one table between the classes of errors and Connect's codes.
var codes = []struct {
	class error
	code  connect.Code
}{
	{runtime.NotFound, connect.CodeNotFound},
	{runtime.Invalid, connect.CodeInvalidArgument},
	{runtime.Conflict, connect.CodeAlreadyExists}, // HTTP 409
	{runtime.Unavailable, connect.CodeUnavailable},
	{runtime.Unsupported, connect.CodeUnimplemented},
	{context.Canceled, connect.CodeCanceled},
	{context.DeadlineExceeded, connect.CodeDeadlineExceeded},
	{runtime.Internal, connect.CodeInternal},
	// Only ever received: Connect itself, or another version of the daemon, says these.
	{runtime.Invalid, connect.CodeResourceExhausted}, // a message over maxMessage
	{runtime.Invalid, connect.CodeOutOfRange},
	{runtime.Conflict, connect.CodeFailedPrecondition},
	{runtime.Conflict, connect.CodeAborted},
}

// toConnect turns an error of a handler into one that travels: class as code,
// text, hint and diagnostics. What Connect made itself stays as it is.
func toConnect(err error) error {
	if err == nil {
		return nil
	}
	var own *connect.Error
	if errors.As(err, &own) && !own.IsRemote() {
		return err
	}
	code := connect.CodeInternal
	for _, row := range codes {
		if errors.Is(err, row.class) {
			code = row.code
			break
		}
	}
	out := connect.NewError(code, valid(err.Error()))
	if hint := runtime.Hint(err); hint != "" {
		out = withDetail(out, &steadpb.ErrorHint{Hint: valid(hint)})
	}
	var list runtime.Diagnostics
	if errors.As(err, &list) {
		for _, d := range list {
			out = withDetail(out, diagnosticView(d))
		}
	}
	return out
}

func withDetail(err *connect.Error, m proto.Message) *connect.Error {
	detail, bad := connectproto.NewErrorDetail(m)
	if bad != nil { // cannot happen with valid UTF-8; an error without it is better than none
		return err
	}
	return err.WithDetail(detail)
}

// FromError is the way back: err of a client's call as an error that wraps
// its class (package runtime) or context error, with its hint, and its
// runtime.Diagnostics when it had any. io.EOF, a stream's clean end, stays
// io.EOF. Clients made by NewClient have applied it already.
func FromError(err error) error {
	var dial *dialError
	var wire *connect.Error
	var done *callError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &done): // has been here before
		return err
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.As(err, &dial):
		return dial.explain()
	case !errors.As(err, &wire):
		return err
	}
	class := classOf(wire.Code())
	if !wire.IsRemote() && (class == runtime.Internal || class == runtime.Unavailable || broken(err)) {
		// Not a word of the daemon: the connection broke.
		why := wire.Message()
		if errors.Is(err, io.ErrUnexpectedEOF) {
			why = "it has ended" // what the framing lacks tells nobody anything
		}
		lost := &callError{text: "the connection to the daemon broke: " + why, wraps: []error{runtime.Unavailable, ErrBroken}}
		return runtime.WithHint(lost, "services keep running without the daemon; `stead status` brings it back")
	}
	return restore(wire, class)
}

// ErrBroken is in the chain of errors that say that the connection to the
// daemon broke: it was killed, and did not say goodbye.
var ErrBroken = errors.New("the connection broke")

// broken reports whether err says that the connection ended. Connect takes a
// reset for a call that was given up.
func broken(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF)
}

// restore rebuilds what toConnect took apart.
func restore(wire *connect.Error, class error) error {
	out := &callError{text: wire.Message(), wraps: []error{class}}
	if out.text == "" {
		out.text = class.Error()
	}
	var hint string
	var list runtime.Diagnostics
	for _, detail := range wire.Details() {
		m, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil { // of a newer daemon
			continue
		}
		switch m := m.(type) {
		case *steadpb.ErrorHint:
			hint = m.GetHint()
		case *steadpb.Diagnostic:
			list = append(list, Diagnostic(m))
		}
	}
	if len(list) > 0 {
		out.wraps = append(out.wraps, list)
	}
	if hint == "" {
		return out
	}
	return runtime.WithHint(out, hint)
}

func classOf(code connect.Code) error {
	for _, row := range codes {
		if row.code == code {
			return row.class
		}
	}
	return runtime.Internal
}

// callError is an error that came through the socket.
type callError struct {
	text  string
	wraps []error
}

func (e *callError) Error() string   { return e.text }
func (e *callError) Unwrap() []error { return e.wraps }
