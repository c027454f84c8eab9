package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
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

// A runtime of an older release does not know the rpc at all.
func TestCallsThatAnOldRuntimeLacks(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	old := runtimepb.Runtime_ServiceDesc
	old.Methods, old.Streams = nil, nil
	server.RegisterService(&old, &runtimepb.UnimplementedRuntimeServer{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() { server.Stop(); <-served }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &Client{rpc: runtimepb.NewRuntimeClient(conn)}
	for name, call := range map[string]func() error{
		"Listen":  func() error { _, err := c.Listen(t.Context(), nil); return err },
		"Signal":  func() error { return c.Signal(t.Context(), runtime.ID{}, "HUP") },
		"Inspect": func() error { _, err := c.Inspect(t.Context(), nil); return err },
		"Connect": func() error { _, err := c.Connect(t.Context(), runtime.ConnectRequest{}); return err },
		"Stats":   func() error { return c.Stats(t.Context(), 0, func([]runtime.Stat) error { return nil }) },
		"Lead":    func() error { return c.Lead(t.Context(), false) },
		"Preview": func() error { _, err := c.Preview(t.Context(), runtime.PreviewRequest{}); return err },
	} {
		if err := call(); !errors.Is(err, runtime.Unsupported) || runtime.Hint(err) == "" {
			t.Errorf("%s: %v of class %v, hint %q", name, err, runtime.Class(err), runtime.Hint(err))
		}
	}
	own := errorToStatus(fmt.Errorf("listen: not in a cluster: %w", runtime.Unsupported))
	if got := tooOld(own); got != own {
		t.Errorf("a runtime's own refusal became %v", got)
	}
}
