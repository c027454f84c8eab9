package plugin

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stead-dev/stead/runtime"
)

func TestClassesSurvive(t *testing.T) {
	for class := range codeOf {
		sent := runtime.WithHint(fmt.Errorf("start web/8: %w", class), "do that")
		got := errorFromStatus(t.Context(), errorToStatus(sent))
		if runtime.Class(got) != class || got.Error() != sent.Error() || runtime.Hint(got) != "do that" {
			t.Errorf("%v: got %v of class %v with hint %q", sent, got, runtime.Class(got), runtime.Hint(got))
		}
	}
	if len(codeOf) != 6 {
		t.Errorf("%d classes in the table", len(codeOf))
	}
}

func TestErrorsOfTheWire(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		want error
	}{
		{"none", t.Context(), nil, nil},
		{"without class", t.Context(), errorToStatus(errors.New("odd")), runtime.Internal},
		{"the other side cancelled", t.Context(), errorToStatus(context.Canceled), runtime.Unavailable},
		{"we cancelled", over, status.Error(codes.Unavailable, "gone"), context.Canceled},
		{"connection lost", t.Context(), status.Error(codes.Unavailable, "gone"), runtime.Unavailable},
		{"too big", t.Context(), status.Error(codes.ResourceExhausted, "65 MiB"), runtime.Invalid},
		{"a code we never send", t.Context(), status.Error(codes.DataLoss, "?"), runtime.Internal},
	} {
		if got := errorFromStatus(test.ctx, test.err); !errors.Is(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}
