package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/stead-dev/stead/runtime"
)

// program is an executor that runs a function.
type program func(ctx context.Context, o remotecommand.StreamOptions) error

func (p program) Stream(o remotecommand.StreamOptions) error {
	return p.StreamWithContext(context.Background(), o)
}

func (p program) StreamWithContext(ctx context.Context, o remotecommand.StreamOptions) error {
	return p(ctx, o)
}

// drain receives to the end.
func drain(t *testing.T, s runtime.Session) (text string, exit *runtime.Exit, err error) {
	t.Helper()
	hurry := time.AfterFunc(20*time.Second, func() { s.Close() })
	defer hurry.Stop()
	for {
		out, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return text, exit, nil
		}
		if err != nil {
			return text, exit, err
		}
		text += string(out.Data)
		if out.Exit != nil {
			exit = out.Exit
		}
	}
}

func TestSessionOfACommand(t *testing.T) {
	cat := program(func(_ context.Context, o remotecommand.StreamOptions) error {
		_, err := io.Copy(o.Stdout, o.Stdin)
		fmt.Fprint(o.Stderr, "done")
		if err != nil {
			return err
		}
		return exec.CodeExitError{Err: errors.New("it ended"), Code: 3}
	})
	s := newSession(t.Context(), cat, runtime.Size{}, false, nil)
	defer s.Close()
	for _, in := range []runtime.TerminalInput{{Data: []byte("one ")}, {Data: []byte("two ")}, {EOF: true}} {
		if err := s.Send(in); err != nil {
			t.Fatal(err)
		}
	}
	text, exit, err := drain(t, s)
	if text != "one two done" || exit == nil || exit.Code != 3 || err != nil {
		t.Errorf("%q, %+v, %v", text, exit, err)
	}
	if err := s.Send(runtime.TerminalInput{Data: []byte("more")}); runtime.Class(err) != runtime.Unavailable {
		t.Errorf("input after the end: %v", err)
	}
}

func TestSessionOnATerminal(t *testing.T) {
	sizes := program(func(_ context.Context, o remotecommand.StreamOptions) error {
		for range 2 {
			size := o.TerminalSizeQueue.Next()
			fmt.Fprintf(o.Stdout, "%dx%d ", size.Width, size.Height)
			if _, err := o.Stdin.Read(make([]byte, 1)); err != nil {
				return err
			}
		}
		return nil
	})
	s := newSession(t.Context(), sizes, runtime.Size{Columns: 100, Rows: 30}, true, nil)
	defer s.Close()
	if out, err := s.Receive(); err != nil || string(out.Data) != "100x30 " || out.Stream != runtime.StreamTerminal {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, size := range []runtime.Size{{Columns: 1, Rows: 1}, {Columns: 90, Rows: 20}} { // only the newest counts
		if err := s.Send(runtime.TerminalInput{Resize: &size, EOF: true}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := s.Send(runtime.TerminalInput{Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if text, exit, err := drain(t, s); text != "90x20 " || exit == nil || !exit.Success() || err != nil {
		t.Errorf("%q, %+v, %v", text, exit, err)
	}
}

func TestSessionThatFails(t *testing.T) {
	lost := program(func(context.Context, remotecommand.StreamOptions) error { return errors.New("broken pipe") })
	if _, exit, err := drain(t, newSession(t.Context(), lost, runtime.Size{}, false, nil)); exit != nil || runtime.Class(err) != runtime.Unavailable {
		t.Errorf("a lost connection: %+v, %v", exit, err)
	}
	refused := program(func(context.Context, remotecommand.StreamOptions) error {
		return errors.New("Internal error occurred: error executing command in container: no such file")
	})
	if _, exit, err := drain(t, newSession(t.Context(), refused, runtime.Size{}, false, nil)); exit == nil || !strings.Contains(exit.Error, "no such file") || err != nil {
		t.Errorf("no such command: %+v, %v", exit, err)
	}
	ends := program(func(context.Context, remotecommand.StreamOptions) error { return nil })
	attached := newSession(t.Context(), ends, runtime.Size{}, true, func(context.Context) *runtime.Exit { return &runtime.Exit{Code: 7} })
	if _, exit, err := drain(t, attached); exit == nil || exit.Code != 7 || err != nil {
		t.Errorf("attached: %+v, %v", exit, err)
	}
}

func TestSessionIsClosed(t *testing.T) {
	waits := program(func(ctx context.Context, o remotecommand.StreamOptions) error {
		for {
			if _, err := fmt.Fprint(o.Stdout, "x"); err != nil {
				<-ctx.Done()
				return ctx.Err()
			}
		}
	})
	s := newSession(t.Context(), waits, runtime.Size{}, true, nil)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, exit, err := drain(t, s); exit != nil || err != nil {
		t.Errorf("%+v, %v", exit, err)
	}
}

func TestWhereACommandRuns(t *testing.T) {
	a, b := podOf("a", 0), podOf("b", 0)
	b.id.Number = 2
	b.pod.Status.Conditions = nil // not ready
	ended := b.change(func(c *corev1.ContainerStatus) { c.State = corev1.ContainerState{} })
	run := runtime.ID{Project: "shop", Service: "web:run", Number: 1}
	for _, c := range []struct {
		name  string
		seen  []sight
		route uint64
		id    runtime.ID
		want  string
		class error
	}{
		{"the ready one", []sight{a, b}, 0, run, "a", nil},
		{"the routed one", []sight{a, b}, 2, run, "b", nil},
		{"one that runs", []sight{ended}, 2, run, "", runtime.Unavailable},
		{"a stranger", []sight{a}, 1, runtime.ID{Service: "stranger:run"}, "", runtime.NotFound},
		{"no service", []sight{a}, 1, runtime.ID{Service: ":run"}, "", runtime.Invalid},
	} {
		s := newStage(c.seen...)
		s.route = c.route
		got, err := host(t.Context(), s, c.id)
		if runtime.Class(err) != c.class || err == nil && got.pod.Name != c.want {
			t.Errorf("%s: %v, %v", c.name, got.pod, err)
		}
	}
}

func TestWhoIsAttachedTo(t *testing.T) {
	a := podOf("a", 1)
	a.tty, a.earlier = true, 2
	s := newStage(a)
	if got, err := attachable(s, runtime.InstanceID{ID: web1, Replica: 1, Attempt: 3}); err != nil || got.pod != a.pod {
		t.Errorf("%v", err)
	}
	for name, c := range map[string]struct {
		id    runtime.InstanceID
		class error
	}{
		"another attempt": {runtime.InstanceID{ID: web1, Replica: 1, Attempt: 2}, runtime.Unavailable},
		"another replica": {runtime.InstanceID{ID: web1}, runtime.Unavailable},
		"a stranger":      {runtime.InstanceID{ID: runtime.ID{Service: "stranger"}}, runtime.NotFound},
	} {
		if _, err := attachable(s, c.id); runtime.Class(err) != c.class {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := attachable(newStage(podOf("b", 0)), runtime.InstanceID{ID: web1}); runtime.Class(err) != runtime.Unsupported || runtime.Hint(err) == "" {
		t.Errorf("without a terminal: %v", err)
	}
}
