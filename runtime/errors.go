package runtime

import "errors"

// The error classes of the contract. Every error that crosses it wraps one of
// them (errors.Is); a class survives each process boundary, the text is for
// people.
var (
	NotFound    = errors.New("not found")      // no such generation, instance or service
	Invalid     = errors.New("invalid")        // the request can never work as it is
	Conflict    = errors.New("conflict")       // it contradicts what is there already
	Unavailable = errors.New("unavailable")    // not now: try again
	Unsupported = errors.New("unsupported")    // this runtime, platform or version cannot do it
	Internal    = errors.New("internal error") // a fault of the runtime itself
)

// Class returns the class that err wraps, nil for nil, and Internal for an
// error without a class.
func Class(err error) error {
	if err == nil {
		return nil
	}
	for _, class := range []error{NotFound, Invalid, Conflict, Unavailable, Unsupported} {
		if errors.Is(err, class) {
			return class
		}
	}
	return Internal
}

// WithHint adds what the user can do about err; Hint finds it again. The hint
// is one sentence, lower case, without a full stop.
func WithHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &hinted{err, hint}
}

// Hint returns the outermost hint in err's chain, or "".
func Hint(err error) string {
	var h *hinted
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}

type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }
