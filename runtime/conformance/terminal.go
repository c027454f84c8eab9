package conformance

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

var terminalCases = []testCase{
	{name: "TerminalAttach", run: terminalAttach, processes: true, needs: runtime.CapabilityTerminal},
	{name: "TerminalRunOnPTY", run: terminalRunOnPTY, processes: true, needs: runtime.CapabilityTerminal},
	{name: "TerminalRunOnPipes", run: terminalRunOnPipes, processes: true, needs: runtime.CapabilityTerminal},
	{name: "TerminalExitCode", run: terminalExitCode, processes: true, needs: runtime.CapabilityTerminal},
	{name: "TerminalCloseEndsTheCommand", run: terminalCloseEndsTheCommand, processes: true, needs: runtime.CapabilityTerminal},
	{name: "TerminalRefusals", run: terminalRefusals, processes: true, needs: runtime.CapabilityTerminal},
}

// beside makes sure that there is a service for a command to run beside:
// where processes are elsewhere, that is where it runs.
func (s *suite) beside(t *testing.T) {
	t.Helper()
	if !s.h.Elsewhere {
		return
	}
	spec := s.spec("web", "run")
	w := s.watch(t)
	s.start(t, spec)
	w.ready(t, spec.ID)
}

// terminal opens a session.
func (s *suite) terminal(t *testing.T, req runtime.TerminalRequest) runtime.Session {
	t.Helper()
	session, err := s.rt.Terminal(t.Context(), req)
	if err != nil {
		t.Fatalf("terminal: %v", err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

func send(t *testing.T, session runtime.Session, in runtime.TerminalInput) {
	t.Helper()
	if err := session.Send(in); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// receive reads until the output holds want, or with "" until the end.
func receive(t *testing.T, session runtime.Session, want string) (string, *runtime.Exit) {
	t.Helper()
	hurry := time.AfterFunc(patience, func() { session.Close() })
	defer hurry.Stop()
	text, exit := "", (*runtime.Exit)(nil)
	for want == "" || !strings.Contains(text, want) {
		out, err := session.Receive()
		if errors.Is(err, io.EOF) && want == "" {
			break
		}
		if err != nil {
			t.Fatalf("receive: %v after %q, want %q", err, text, want)
		}
		text += string(out.Data)
		if out.Exit != nil {
			exit = out.Exit
		}
	}
	return text, exit
}

func terminalAttach(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("shell", "tty")
	spec.Terminal = true
	s.start(t, spec)
	started := w.started(t, spec.ID, 1)
	s.follow(t, "shell", "tty ")
	id := runtime.InstanceID{ID: spec.ID} // attempt 0: the one that runs
	for _, text := range []string{"first", "second"} {
		session := s.terminal(t, runtime.TerminalRequest{Attach: &id, Size: runtime.Size{Columns: 100, Rows: 30}})
		send(t, session, runtime.TerminalInput{Data: []byte(text + "\n")})
		receive(t, session, text)
		send(t, session, runtime.TerminalInput{Resize: &runtime.Size{Columns: 90, Rows: 20}})
		if err := session.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if !s.h.Elsewhere && gone(started.Started.PID) {
		t.Error("detaching ended it")
	}
	s.follow(t, "shell", "second") // what is shown is logged, too
}

func terminalRunOnPTY(t *testing.T, s *suite) {
	s.beside(t)
	spec := s.spec("web", "tty")
	spec.Terminal = true
	session := s.terminal(t, runtime.TerminalRequest{Run: &spec, Size: runtime.Size{Columns: 100, Rows: 30}})
	receive(t, session, "tty 100x30\r\n")
	send(t, session, runtime.TerminalInput{Data: []byte("hello\n\x04")}) // ^D is the end of input on a terminal
	text, exit := receive(t, session, "")
	if strings.Count(text, "hello\r\n") != 2 || exit == nil || !exit.Success() { // its echo, and cat's
		t.Errorf("%q, exit %+v", text, exit)
	}
}

func terminalRunOnPipes(t *testing.T, s *suite) {
	s.beside(t)
	spec := s.spec("web", "tty")
	session := s.terminal(t, runtime.TerminalRequest{Run: &spec})
	big := strings.Repeat("0123456789abcde\n", 10<<10)
	done := make(chan error, 1)
	go func() { // ends when all is sent, or the session is closed
		err := session.Send(runtime.TerminalInput{Data: []byte(big)})
		done <- errors.Join(err, session.Send(runtime.TerminalInput{EOF: true}))
	}()
	text, exit := receive(t, session, "")
	if err := <-done; err != nil {
		t.Errorf("send: %v", err)
	}
	if text != "no tty\n"+big || exit == nil || !exit.Success() {
		t.Errorf("%d bytes, want %d; exit %+v", len(text), len(big)+7, exit)
	}
}

func terminalExitCode(t *testing.T, s *suite) {
	s.beside(t)
	spec := s.spec("web", "exit", "42")
	session := s.terminal(t, runtime.TerminalRequest{Run: &spec})
	if _, exit := receive(t, session, ""); exit == nil || exit.Code != 42 {
		t.Errorf("exit %+v", exit)
	}
	spec.Command = []string{"/does/not/exist"}
	bad, err := s.rt.Terminal(t.Context(), runtime.TerminalRequest{Run: &spec})
	if err == nil { // either is right: an error, or an exit that has one
		_, exit := receive(t, bad, "")
		if exit == nil || exit.Error == "" {
			t.Errorf("a command that does not exist: %+v", exit)
		}
		bad.Close()
	}
}

func terminalCloseEndsTheCommand(t *testing.T, s *suite) {
	s.beside(t)
	for _, pty := range []bool{false, true} {
		spec := s.spec("web", "pid")
		spec.Terminal = pty
		session := s.terminal(t, runtime.TerminalRequest{Run: &spec})
		text, _ := receive(t, session, "\n")
		pid, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			t.Fatal(err)
		}
		session.Close()
		for end := time.Now().Add(patience); !s.gone(pid); <-time.After(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("pty %v: process %d is left", pty, pid)
			}
		}
	}
}

func terminalRefusals(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "run")
	s.start(t, spec)
	w.started(t, spec.ID, 1)
	_, err := s.rt.Terminal(t.Context(), runtime.TerminalRequest{Attach: &runtime.InstanceID{ID: s.spec("nobody", "run").ID}})
	wantClass(t, "attach to nobody", err, runtime.NotFound)
	_, err = s.rt.Terminal(t.Context(), runtime.TerminalRequest{Attach: &runtime.InstanceID{ID: spec.ID}})
	if class := runtime.Class(err); class == nil || class == runtime.Internal {
		t.Errorf("attach to one without a terminal: %v", err)
	}
	_, err = s.rt.Terminal(t.Context(), runtime.TerminalRequest{})
	wantClass(t, "neither attach nor run", err, runtime.Invalid)
}
