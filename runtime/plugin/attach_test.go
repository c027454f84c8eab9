package plugin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/stead-dev/stead/runtime"
)

func TestRecordsThatAreNotTrusted(t *testing.T) {
	t.Parallel()
	c, dir := launched(t)
	c.Close()
	good, err := readRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(*record)
	}{
		{"dead pid", func(r *record) { r.PID = deadPID(t) }},
		{"recycled pid", func(r *record) { r.PID = os.Getpid() }}, // alive, but started at another time
		{"another boot", func(r *record) { r.Boot = "yesterday" }},
		{"another process answers", func(r *record) { r.Nonce = "mine" }},
		{"no pid", func(r *record) { r.PID = 0 }},
	} {
		bad := tempDir(t)
		r := good
		test.change(&r)
		if err := writeRecord(bad, r); err != nil {
			t.Fatal(err)
		}
		if _, err := Attach(t.Context(), bad); !errors.Is(err, runtime.NotFound) {
			t.Errorf("%s: got %v, want not found", test.name, err)
		}
	}
	if err := os.WriteFile(dir+"/"+recordName, []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Attach(t.Context(), dir); !errors.Is(err, runtime.NotFound) {
		t.Errorf("damaged file: got %v, want not found", err)
	}
	if err := writeRecord(dir, good); err != nil { // for the end of the test
		t.Fatal(err)
	}
}

func deadPID(t *testing.T) int {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func TestContractVersionIsChecked(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	killAtEnd(t, dir)
	_, err := Launch(t.Context(), options(dir, "runtime", "PLUGIN_TEST_FUTURE=1"))
	if !errors.Is(err, runtime.Unsupported) || runtime.Hint(err) == "" {
		t.Errorf("got %v with hint %q", err, runtime.Hint(err))
	}
}

func TestKilledClientLosesNothing(t *testing.T) {
	t.Parallel()
	c, dir := launched(t)
	o := options(dir, "client")
	cmd := exec.Command(o.Path)
	cmd.Env, cmd.Stderr = o.Env, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "synced\n" {
		t.Errorf("the client says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()

	second, err := Attach(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if second.Description().PID != c.Description().PID || second.Description().Nonce != c.Description().Nonce {
		t.Error("it is not the same runtime")
	}
	var kinds []runtime.EventKind
	for _, e := range present(t, second) {
		kinds = append(kinds, e.Kind)
	}
	if len(kinds) != 4 || kinds[1] != runtime.StartedEvent || kinds[2] != runtime.ReadyEvent {
		t.Errorf("the new client sees kinds %v", kinds)
	}
}

func TestCloseDetaches(t *testing.T) {
	t.Parallel()
	c, dir := launched(t)
	watch := make(chan error, 1)
	go func() { watch <- c.Watch(t.Context(), func(runtime.Event) error { return nil }) }()
	c.Close()
	c.Close()
	within(t, "Done", c.Done())
	if err := <-watch; !errors.Is(err, runtime.Unavailable) {
		t.Errorf("watch ended with %v", err)
	}
	if _, err := c.Start(t.Context(), spec("web", 1)); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("start after close: %v", err)
	}
	again, err := Attach(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestDoneWhenTheRuntimeIsKilled(t *testing.T) {
	t.Parallel()
	c, dir := launched(t)
	r, err := readRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	within(t, "Done", c.Done())
	t.Logf("noticed after %s", time.Since(begin))
	if _, err := Attach(t.Context(), dir); !errors.Is(err, runtime.NotFound) {
		t.Errorf("attach to a killed one: %v", err)
	}
	next, err := Ensure(t.Context(), options(dir, "runtime"))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if sockets, _ := os.ReadDir(dir); len(sockets) != 4 { // log, lock, json, one socket
		t.Errorf("left in the directory: %v", sockets)
	}
}

func TestGoPluginCannotEndTheRuntime(t *testing.T) {
	t.Parallel()
	c, _ := launched(t)
	err := c.conn.Invoke(t.Context(), "/plugin.GRPCController/Shutdown", &emptypb.Empty{}, &emptypb.Empty{})
	if err == nil {
		t.Error("its Shutdown was answered")
	}
	if _, err := c.Describe(t.Context(), runtime.ContractVersion); err != nil {
		t.Error(err)
	}
}

func TestErrorsOverTheSocket(t *testing.T) {
	t.Parallel()
	c, _ := launched(t)
	err := c.Stop(t.Context(), spec("nobody", 1).ID, runtime.StopRequest{})
	if !errors.Is(err, runtime.NotFound) || err.Error() != "stop nobody/1: not found" {
		t.Errorf("got %q", err)
	}
	_, err = c.Describe(t.Context(), 77)
	if !errors.Is(err, runtime.Unsupported) || runtime.Hint(err) == "" {
		t.Errorf("got %v, hint %q", err, runtime.Hint(err))
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Watch(over, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled watch: %v", err)
	}
	_, err = c.Terminal(t.Context(), runtime.TerminalRequest{Attach: &runtime.InstanceID{}})
	if !errors.Is(err, runtime.NotFound) {
		t.Errorf("terminal: %v", err)
	}
}

func TestBigMessages(t *testing.T) {
	t.Parallel()
	c, _ := launched(t)
	s := spec("big", 1)
	s.Environment = map[string]string{"OUTPUT": strings.Repeat("x", 8<<20)}
	if _, err := c.Start(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	size := 0
	q := runtime.LogQuery{Environment: "local", Project: "p", Service: "big"}
	err := c.Logs(t.Context(), q, func(b runtime.LogBlock) error { size += len(b.Data); return nil })
	if err != nil || size != 8<<20 {
		t.Errorf("%d bytes of log, %v", size, err)
	}
	s.ID.Number, s.Environment["OUTPUT"] = 2, strings.Repeat("x", maxMessage)
	if _, err := c.Start(t.Context(), s); !errors.Is(err, runtime.Invalid) {
		t.Errorf("over the limit: class %v", runtime.Class(err))
	}
}

func TestTerminalOverTheSocket(t *testing.T) {
	t.Parallel()
	c, _ := launched(t)
	run := spec("sh", 1)
	s, err := c.Terminal(t.Context(), runtime.TerminalRequest{Run: &run})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, in := range []runtime.TerminalInput{{Data: []byte("hello\n")}, {Resize: &runtime.Size{Columns: 80, Rows: 24}}, {EOF: true}} {
		if err := s.Send(in); err != nil {
			t.Fatal(err)
		}
	}
	got, exit := "", (*runtime.Exit)(nil)
	for {
		out, err := s.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got += string(out.Data)
		exit = out.Exit
	}
	if got != "hello\n80x24\n" || exit == nil || !exit.Success() {
		t.Errorf("got %q, exit %+v", got, exit)
	}
}
