package ipc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func watchOf(t *testing.T, s served, sel *steadpb.Selection) steadpb.DaemonWatchClientStream {
	t.Helper()
	w, err := s.Watch(t.Context(), &steadpb.StatusRequest{Selection: sel})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func TestWatchSendsThePresentThenWhatChanged(t *testing.T) {
	p := ipctest.Shop("api", "web")
	b := ipctest.New(p)
	w := watchOf(t, serve(t, b), &steadpb.Selection{Project: "shop"})
	receive := func() string {
		t.Helper()
		m, err := w.Receive()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range m.GetServices() {
			got = append(got, fmt.Sprintf("%s=%d", s.GetName(), s.GetInstances()[0].GetPid()))
		}
		return strings.Join(append(append(got, m.GetRemoved()...), m.GetDaemonProblem()), " ")
	}
	if got := receive(); got != "api=1000 web=1001 " {
		t.Errorf("the present: %q", got)
	}
	b.Show(ipctest.With(p, ipctest.Name("web"), ipctest.Ready(ipctest.Name("web"), 7)))
	if got := receive(); got != "web=7 " {
		t.Errorf("a change: %q", got)
	}
	// Something that concerns nobody here is not sent: the next message is the one after it.
	other := supervisor.Name{Environment: "local", Project: "/other", Service: "x"}
	b.Show(ipctest.With(b.Present(), other, ipctest.Ready(other, 1)))
	b.Show(ipctest.With(b.Present(), ipctest.Name("new"), ipctest.Ready(ipctest.Name("new"), 8)))
	if got := receive(); got != "new=8 " {
		t.Errorf("a new service: %q", got)
	}
	b.Show(ipctest.Without(b.Present(), ipctest.Name("api")))
	if got := receive(); got != "shop/api " {
		t.Errorf("a service that went: %q", got)
	}
	sick := *b.Present()
	sick.Problem = "the runtime is gone"
	b.Show(&sick)
	if got := receive(); got != "the runtime is gone" {
		t.Errorf("a problem: %q", got)
	}
	gone := *b.Present()
	gone.State = supervisor.State{}
	gone.Projects = nil
	gone.Problem = ""
	b.Show(&gone)
	if got := receive(); got != "shop/new shop/web " {
		t.Errorf("a project that went: %q", got)
	}
}

func TestWatchOfNothingAnswersAtOnce(t *testing.T) {
	w := watchOf(t, serve(t, ipctest.New(ipctest.Shop())), nil)
	if m, err := w.Receive(); err != nil || len(m.GetServices()) != 0 {
		t.Errorf("got %v, %v", m, err)
	}
}

// TestSlowWatcherGetsTheNewest lets far more change than the connection
// holds: a reader that comes back sees the last state after few messages.
func TestSlowWatcherGetsTheNewest(t *testing.T) {
	names := make([]string, 300)
	for i := range names {
		names[i] = fmt.Sprintf("s%03d-%s", i, strings.Repeat("x", 200))
	}
	p := ipctest.Shop(names...)
	b := ipctest.New(p)
	w := watchOf(t, serve(t, b), nil)
	const rounds = 300
	for i := 1; i <= rounds; i++ {
		p = ipctest.With(p, ipctest.Name(names[0]), ipctest.Ready(ipctest.Name(names[0]), i))
		b.Show(p)
	}
	for messages := 1; ; messages++ {
		m, err := w.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if len(m.GetServices()) > 0 && m.GetServices()[0].GetInstances()[0].GetPid() == rounds {
			if messages > 20 {
				t.Errorf("%d messages for %d changes made at once", messages, rounds)
			}
			return
		}
	}
}

func TestEvents(t *testing.T) {
	b := ipctest.New(ipctest.Shop("api", "web"))
	event := func(seq uint64, service string) ipc.Event {
		return ipc.Event{Sequence: seq, Time: ipctest.Epoch, Project: "/src/shop", Service: service, Kind: ipc.EventPhase, Text: "ready"}
	}
	b.Happen(event(1, "api"), event(2, "web"), event(3, "api"), event(4, "web"),
		ipc.Event{Sequence: 5, Kind: ipc.EventDaemon, Text: "started"})
	s := serve(t, b)
	read := func(n int, req *steadpb.EventsRequest) string {
		t.Helper()
		stream, err := s.Events(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		var got []string
		for len(got) < n {
			m, err := stream.Receive()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range m.GetEvents() {
				got = append(got, fmt.Sprintf("%d%s", e.GetSequence(), e.GetProject()))
			}
			if req.GetFollow() && len(got) == n-1 {
				b.Happen(event(6, "web"))
			}
		}
		return strings.Join(got, " ")
	}
	web := &steadpb.Selection{Project: "shop", Services: []string{"web"}}
	cases := []struct {
		n    int
		req  *steadpb.EventsRequest
		want string
	}{
		{99, &steadpb.EventsRequest{}, "1shop 2shop 3shop 4shop 5"},
		{99, &steadpb.EventsRequest{Selection: web}, "2shop 4shop"},
		{99, &steadpb.EventsRequest{Selection: web, Last: 1}, "4shop"},
		{99, &steadpb.EventsRequest{Last: 2}, "4shop 5"},
		{2, &steadpb.EventsRequest{Selection: web, Last: 1, Follow: true}, "4shop 6shop"},
	}
	for _, c := range cases {
		if got := read(c.n, c.req); got != c.want {
			t.Errorf("%v: %q, want %q", c.req, got, c.want)
		}
	}
}

func block(at int, text string) runtime.LogBlock {
	return runtime.LogBlock{Stream: runtime.StreamStdout, Time: ipctest.Epoch.Add(time.Duration(at) * time.Second), Data: []byte(text),
		Instance: runtime.InstanceID{ID: runtime.ID{Number: 1}, Attempt: 1}}
}

func TestLogsMergeThePastThenFollow(t *testing.T) {
	p := ipctest.Shop("api", "quiet", "web")
	b := ipctest.New(p)
	b.Write(ipctest.Name("api"), block(1, "a1\n"), block(4, "a4\n"), block(3, "a-late\n"))
	b.Write(ipctest.Name("web"), block(2, "w2\n"), block(5, "w5\n"))
	s := serve(t, b)
	past, err := s.Logs(t.Context(), &steadpb.LogsRequest{Selection: &steadpb.Selection{Project: "shop"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := readLogs(t, past, 1<<20); got != "a1 w2 a4 a-late w5 " {
		t.Errorf("the past: %q", got)
	}
	stream, err := s.Logs(t.Context(), &steadpb.LogsRequest{Follow: true, Last: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if got := readLogs(t, stream, len("a-late w5 ")); got != "a-late w5 " {
		t.Errorf("the last of each: %q", got)
	}
	b.Write(ipctest.Name("web"), block(6, "w6\n"))
	if got := readLogs(t, stream, len("w6 ")); got != "w6 " {
		t.Errorf("followed: %q", got)
	}
	// One that had no log, and one that was not there at all.
	b.Write(ipctest.Name("quiet"), block(7, "q7\n"))
	b.Write(ipctest.Name("later"), block(8, "l8\n"))
	b.Show(ipctest.With(p, ipctest.Name("later"), ipctest.Ready(ipctest.Name("later"), 9)))
	got := readLogs(t, stream, len("q7 l8 "))
	if !strings.Contains(got, "q7 ") || !strings.Contains(got, "l8 ") {
		t.Errorf("services that came later: %q", got)
	}
}

// readLogs reads n bytes of data, or to the end, with lines ended by spaces.
func readLogs(t *testing.T, stream steadpb.DaemonLogsClientStream, n int) string {
	t.Helper()
	var got bytes.Buffer
	for got.Len() < n {
		m, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range m.GetBlocks() {
			got.Write(b.GetData())
			if b.GetInstance() != "1/0/1" || b.GetStream() != "stdout" || b.GetProject() != "shop" {
				t.Errorf("block %v", b)
			}
		}
	}
	return strings.ReplaceAll(got.String(), "\n", " ")
}

// TestSlowLogReaderGetsAGap writes more than the buffers hold while nobody
// reads: nothing blocks, and every byte is there or counted as lost.
func TestSlowLogReaderGetsAGap(t *testing.T) {
	b := ipctest.New(ipctest.Shop("api"))
	b.Write(ipctest.Name("api"), block(0, "first\n"))
	s := serve(t, b)
	stream, err := s.Logs(t.Context(), &steadpb.LogsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if got := readLogs(t, stream, 6); got != "first " {
		t.Fatalf("got %q", got)
	}
	big := strings.Repeat("x", 32<<10-1) + "\n"
	const n = 256 // 8 MiB: 1 MiB of buffer and what sockets hold
	for i := range n {
		b.Write(ipctest.Name("api"), block(i, big))
	}
	var data, gap int64
	for data+gap < n*int64(len(big)) {
		m, err := stream.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for _, blk := range m.GetBlocks() {
			data += int64(len(blk.GetData()))
			gap += blk.GetGap()
		}
	}
	if data+gap != n*int64(len(big)) {
		t.Errorf("%d bytes and a gap of %d, want %d in all", data, gap, n*len(big))
	}
}

func TestLogsTimes(t *testing.T) {
	b := ipctest.New(ipctest.Shop("api"))
	b.Write(ipctest.Name("api"), block(0, "x\n"))
	s := serve(t, b)
	stream, err := s.Logs(t.Context(), &steadpb.LogsRequest{Since: timestamppb.New(ipctest.Epoch), Until: timestamppb.New(ipctest.Epoch.Add(time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if got := readLogs(t, stream, 99); got != "x " {
		t.Errorf("got %q", got)
	}
}

// TestShutdownEndsStreams has one of each kind open, idle and waiting.
func TestShutdownEndsStreams(t *testing.T) {
	b := ipctest.New(ipctest.Shop("api"))
	echo := ipctest.NewEcho()
	b.OnCommand = func(supervisor.Name, ipc.CommandRequest) (runtime.Spec, error) { return runtime.Spec{}, nil }
	b.OnTerminal = func(context.Context, runtime.TerminalRequest) (runtime.Session, error) { return echo, nil }
	b.Write(ipctest.Name("api"), block(0, "x\n"))
	b.Happen(ipc.Event{Sequence: 1, Kind: ipc.EventDaemon})
	s := serve(t, b)
	watch, err := s.Watch(t.Context(), &steadpb.StatusRequest{})
	must(t, err)
	events, err := s.Events(t.Context(), &steadpb.EventsRequest{Follow: true})
	must(t, err)
	logs, err := s.Logs(t.Context(), &steadpb.LogsRequest{Follow: true})
	must(t, err)
	term, err := s.Terminal(t.Context())
	must(t, err)
	must(t, term.Send(&steadpb.TerminalRequest{Open: &steadpb.TerminalOpen{
		Selection: &steadpb.Selection{Project: "shop"}, Command: []string{"sh"}}}))
	must(t, term.Send(&steadpb.TerminalRequest{Data: []byte("hi")}))
	receivers := map[string]func() error{
		"watch":    func() error { _, err := watch.Receive(); return err },
		"events":   func() error { _, err := events.Receive(); return err },
		"logs":     func() error { _, err := logs.Receive(); return err },
		"terminal": func() error { _, err := term.Receive(); return err },
	}
	for name, receive := range receivers {
		if err := receive(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	shut := make(chan error, 1)
	go func() { shut <- s.server.Shutdown(ctx) }()
	for name, receive := range receivers {
		if err := receive(); !errors.Is(err, runtime.Unavailable) || !strings.Contains(err.Error(), "shutting down") {
			t.Errorf("%s ended with %v", name, err)
		}
	}
	for _, c := range []io.Closer{watch, events, logs, term} {
		_ = c.Close()
	}
	s.Close()
	if err := <-shut; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	select {
	case <-echo.Closed():
	default:
		t.Error("the session was not closed")
	}
}

// TestShutdownCutsAReaderThatDoesNotRead shows that such a one costs the time
// that Shutdown was given, and not more.
func TestShutdownCutsAReaderThatDoesNotRead(t *testing.T) {
	b := ipctest.New(ipctest.Shop("api"))
	big := block(0, strings.Repeat("x", 64<<10))
	for range 512 { // 32 MiB: more than sockets hold anywhere
		b.Write(ipctest.Name("api"), big)
	}
	s := serve(t, b)
	stream, err := s.Logs(t.Context(), &steadpb.LogsRequest{})
	must(t, err)
	defer stream.Close()
	_, err = stream.Receive()
	must(t, err)
	time.Sleep(100 * time.Millisecond) // until what the sockets hold is full, and Send waits
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
