package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

// codeOf is how the error classes travel. Both directions read this table.
var codeOf = map[error]codes.Code{
	runtime.NotFound:    codes.NotFound,
	runtime.Invalid:     codes.InvalidArgument,
	runtime.Conflict:    codes.FailedPrecondition,
	runtime.Unavailable: codes.Unavailable,
	runtime.Unsupported: codes.Unimplemented,
	runtime.Internal:    codes.Internal,
}

// classOf is the way back: the inverse of codeOf, and what grpc itself says.
var classOf = func() map[codes.Code]error {
	classes := map[codes.Code]error{
		codes.Canceled:          runtime.Unavailable, // by the other side; the caller's own end is its context's error
		codes.DeadlineExceeded:  runtime.Unavailable,
		codes.ResourceExhausted: runtime.Invalid, // a message over the limit
	}
	for class, code := range codeOf {
		classes[code] = class
	}
	return classes
}()

// errorToStatus makes a grpc status of an error of the runtime.
func errorToStatus(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) && runtime.Class(err) == runtime.Internal {
		return status.Error(codes.Canceled, text(err.Error()))
	}
	if errors.Is(err, context.DeadlineExceeded) && runtime.Class(err) == runtime.Internal {
		return status.Error(codes.DeadlineExceeded, text(err.Error()))
	}
	s := status.New(codeOf[runtime.Class(err)], text(err.Error()))
	if hint := runtime.Hint(err); hint != "" {
		if with, err := s.WithDetails(&runtimepb.ErrorDetail{Hint: text(hint)}); err == nil {
			s = with
		}
	}
	return s.Err()
}

// errorFromStatus is the inverse of errorToStatus, as the caller sees it whose
// context was ctx: when that ended, its error is the answer.
func errorFromStatus(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s, ok := status.FromError(err)
	if !ok {
		return err // of our own making
	}
	if _, limited := ctx.Deadline(); limited && s.Code() == codes.DeadlineExceeded {
		return context.DeadlineExceeded // the other side's clock was a moment ahead
	}
	class, ok := classOf[s.Code()]
	if !ok {
		class = runtime.Internal
	}
	err = &remoteError{text: s.Message(), class: class}
	for _, d := range s.Details() {
		if detail, ok := d.(*runtimepb.ErrorDetail); ok {
			err = runtime.WithHint(err, detail.GetHint())
		}
	}
	return err
}

// tooOld gives the answer of a runtime that was built before the rpc a text
// for users. "unknown method" is how grpc's server begins it (server.go,
// handleStream); what a runtime itself does not support says something else.
func tooOld(err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok || s.Code() != codes.Unimplemented || !strings.HasPrefix(s.Message(), "unknown method") {
		return err
	}
	old := fmt.Errorf("the runtime that runs is of an older release and cannot do this: %w", runtime.Unsupported)
	return errorToStatus(runtime.WithHint(old, "have a new one started: stead daemon stop --services, then stead up"))
}

// remoteError has the text of the other side's error, which names its class
// already, and the class.
type remoteError struct {
	text  string
	class error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.class }
