package kubernetes

import (
	"context"
	"errors"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// tries of one call that the cluster answers by an error of its own, or not to
// the end. A Start is a dozen calls: where one of four goes wrong, none would
// ever get through, were each to begin at the first of them.
const tries = 4

// persist does what may be done twice: gets, applies, removals.
func persist[T any](ctx context.Context, do func() (T, error)) (T, error) {
	wait := 50 * time.Millisecond
	for n := 1; ; n++ {
		v, err := do()
		if err == nil || n == tries || !passing(err) {
			return v, err
		}
		timer := time.NewTimer(wait)
		wait *= 2
		select {
		case <-ctx.Done():
			timer.Stop()
			return v, err
		case <-timer.C:
		}
	}
}

// passing reports whether the next try may well succeed: the cluster is there,
// and busy with itself. Of 429 the client has waited already as long as it is
// asked to.
func passing(err error) bool {
	var dial *net.OpError
	var status apierrors.APIStatus
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &status):
		return status.Status().Code >= 500
	case errors.As(err, &dial):
		return dial.Op != "dial"
	}
	return true
}
