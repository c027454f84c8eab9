package ipc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

func withTerminal(p *ipc.Present, service string) *ipc.Present {
	spec := p.Specs[ipctest.Name(service)]
	spec.Terminal = true
	p.Specs[ipctest.Name(service)] = spec
	return p
}

func openTerminal(t *testing.T, s served, open *steadpb.TerminalOpen) steadpb.DaemonTerminalClientStream {
	t.Helper()
	stream, err := s.Terminal(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = stream.Close() })
	if err := stream.Send(&steadpb.TerminalRequest{Open: open}); err != nil && !errors.Is(err, io.EOF) { // refused already: Receive tells
		t.Fatal(err)
	}
	return stream
}

func TestTerminalCarriesBothWaysAndTheExit(t *testing.T) {
	p := withTerminal(ipctest.Shop("shell", "web"), "shell")
	shop := func(names ...string) *steadpb.Selection { return &steadpb.Selection{Project: "shop", Services: names} }
	cases := []struct {
		name string
		open *steadpb.TerminalOpen
		want string
	}{
		{"attach", &steadpb.TerminalOpen{Selection: shop("shell"), Replica: 2, Size: &steadpb.TerminalSize{Columns: 100, Rows: 30}},
			"attach local//src/shop/shell/1/2/0 {100 30}"},
		{"exec", &steadpb.TerminalOpen{Selection: shop("web"), Command: []string{"ls", "-l"}, Terminal: true, Environment: []string{"A=1"}},
			"web [ls -l] true [] ; run [ls -l] {0 0}"},
		{"run", &steadpb.TerminalOpen{Selection: &steadpb.Selection{Directory: "/src/shop/x"}, Command: []string{"ls"},
			Environment: []string{"A=1"}, WorkingDirectory: "/src/shop/x"},
			" [ls] false [A=1] /src/shop/x; run [ls] {0 0}"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, echo, got := ipctest.New(p), ipctest.NewEcho(), ""
			b.OnCommand = func(n supervisor.Name, r ipc.CommandRequest) (runtime.Spec, error) {
				if n.Project != "/src/shop" || n.Environment != "local" {
					t.Errorf("command for %v", n)
				}
				got = fmt.Sprint(n.Service, " ", r.Command, r.Terminal, r.Environment, " ", r.Directory, "; ")
				return runtime.Spec{Command: r.Command}, nil
			}
			b.OnTerminal = func(_ context.Context, r runtime.TerminalRequest) (runtime.Session, error) {
				if r.Attach != nil {
					got += fmt.Sprint("attach ", r.Attach, " ", r.Size)
				} else {
					got += fmt.Sprint("run ", r.Run.Command, " ", r.Size)
				}
				return echo, nil
			}
			stream := openTerminal(t, serve(t, b), c.open)
			must(t, stream.Send(&steadpb.TerminalRequest{Data: []byte("hello"), Resize: &steadpb.TerminalSize{Columns: 90, Rows: 1 << 20}}))
			m, err := stream.Receive()
			if err != nil || string(m.GetData()) != "hello" || m.GetStream() != "terminal" {
				t.Fatalf("got %v, %v", m, err)
			}
			if got != c.want {
				t.Errorf("asked %q, want %q", got, c.want)
			}
			if want := []runtime.Size{{Columns: 90, Rows: 65535}}; !reflect.DeepEqual(echo.Sizes(), want) {
				t.Errorf("sizes %v", echo.Sizes())
			}
			must(t, stream.Send(&steadpb.TerminalRequest{Eof: true}))
			// The input stays open on purpose: the session's end ends the call.
			if m, err = stream.Receive(); err != nil || m.GetExit().GetCode() != 7 {
				t.Errorf("exit: %v, %v", m, err)
			}
			if _, err = stream.Receive(); !errors.Is(err, io.EOF) {
				t.Errorf("end: %v", err)
			}
		})
	}
}

func TestTerminalEndsWithItsClient(t *testing.T) {
	b, echo := ipctest.New(withTerminal(ipctest.Shop("shell"), "shell")), ipctest.NewEcho()
	b.OnTerminal = func(context.Context, runtime.TerminalRequest) (runtime.Session, error) { return echo, nil }
	stream := openTerminal(t, serve(t, b), &steadpb.TerminalOpen{Selection: &steadpb.Selection{Services: []string{"shell"}}})
	must(t, stream.Send(&steadpb.TerminalRequest{Data: []byte("x")}))
	if _, err := stream.Receive(); err != nil {
		t.Fatal(err)
	}
	_ = stream.Close()
	select {
	case <-echo.Closed():
	case <-time.After(30 * time.Second):
		t.Error("the session outlives its client")
	}
}

// TestTerminalClosedInputIsEOF: a client may say so by closing its side.
func TestTerminalClosedInputIsEOF(t *testing.T) {
	b := ipctest.New(withTerminal(ipctest.Shop("shell"), "shell"))
	b.OnTerminal = func(context.Context, runtime.TerminalRequest) (runtime.Session, error) { return ipctest.NewEcho(), nil }
	stream := openTerminal(t, serve(t, b), &steadpb.TerminalOpen{Selection: &steadpb.Selection{Services: []string{"shell"}}})
	must(t, stream.CloseSend())
	if m, err := stream.Receive(); err != nil || m.GetExit().GetCode() != 7 {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestTerminalRefused(t *testing.T) {
	p := withTerminal(ipctest.Shop("off", "web"), "off")
	off := p.State.Service(ipctest.Name("off"))
	off.Generations, off.Routed = nil, 0
	s := serve(t, ipctest.New(ipctest.With(p, ipctest.Name("off"), off)))
	cases := []struct {
		name  string
		open  *steadpb.TerminalOpen
		class error
		text  string
	}{
		{"no open", nil, runtime.Invalid, "open: is missing"},
		{"attach to no terminal", &steadpb.TerminalOpen{Selection: &steadpb.Selection{Services: []string{"web"}}}, runtime.Unsupported, "terminal: true"},
		{"attach to what is down", &steadpb.TerminalOpen{Selection: &steadpb.Selection{Services: []string{"off"}}}, runtime.Unavailable, "stead up off"},
		{"attach to everything", &steadpb.TerminalOpen{Size: &steadpb.TerminalSize{Rows: -1}}, runtime.Invalid, "want one service to attach to"},
		{"run nowhere", &steadpb.TerminalOpen{Command: []string{"ls"}}, runtime.Invalid, "a project or a service"},
		{"exec beside two", &steadpb.TerminalOpen{Command: []string{""}, Selection: &steadpb.Selection{Services: []string{"a", "b"}}}, runtime.Invalid, "command[0]"},
	}
	for _, c := range cases {
		stream := openTerminal(t, s, c.open)
		_, err := stream.Receive()
		if !errors.Is(err, c.class) || !strings.Contains(err.Error()+runtime.Hint(err), c.text) {
			t.Errorf("%s: %v (hint %q)", c.name, err, runtime.Hint(err))
		}
	}
}
