package conformance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/plugin"
)

var survivalCases = []testCase{
	{name: "ClientIsKilled", run: clientIsKilled, served: true},
	{name: "RuntimeIsKilled", run: runtimeIsKilled, processes: true, served: true},
	{name: "NothingLeaks", run: nothingLeaks, processes: true, served: true},
}

// nothingLeaks: when services have come, been followed and gone, the runtime has
// as many goroutines as before.
func nothingLeaks(t *testing.T, s *suite) {
	const slack = 3 // of what libraries keep for a while
	w := s.watch(t)
	goroutines := func() int {
		d, err := s.rt.Describe(t.Context(), runtime.ContractVersion)
		if err != nil {
			t.Fatal(err)
		}
		return d.Goroutines
	}
	round := func(name string, n int) {
		var ids []runtime.ID
		for i := range n {
			spec := s.spec(fmt.Sprint(name, i), "print", "hello\n")
			s.start(t, spec)
			ids = append(ids, spec.ID)
		}
		for _, id := range ids {
			w.ready(t, id)
			s.follow(t, id.Service, "hello\n")
			s.stop(t, id, runtime.StopRequest{Grace: time.Second})
		}
		for _, id := range ids {
			w.phase(t, id, runtime.GenerationStopped)
		}
	}
	round("first", 1)
	before, after := goroutines(), 0
	round("many", 10)
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if after = goroutines(); after <= before+slack {
			return
		}
	}
	t.Errorf("%d goroutines before, %d after ten services", before, after)
}

// clientIsKilled: a client that starts a service and follows it is ended by
// SIGKILL; the next one finds everything.
func clientIsKilled(t *testing.T, s *suite) {
	spec := s.spec("web", "print", "hello\n")
	s.killedClient(t, spec)
	short := s.spec("job", "exit", "9", "50ms")
	s.start(t, short) // by the client that was there all the time
	c, err := plugin.Attach(t.Context(), s.in.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	next := &suite{h: s.h, in: s.in, rt: c, temp: s.temp, seen: s.seen}
	w := next.watch(t)
	started := w.started(t, spec.ID, 1)
	w.ready(t, spec.ID)
	if s.h.Processes && !s.h.Elsewhere && gone(started.Started.PID) {
		t.Error("the service died with the client")
	}
	if exit := w.exited(t, short.ID, 1); exit.Code != 9 {
		t.Errorf("%+v", exit)
	}
	if got := next.logs(t, runtime.LogQuery{Service: "web"}); got != "hello\n" {
		t.Errorf("the log is %q", got)
	}
	next.stop(t, spec.ID, runtime.StopRequest{})
	w.phase(t, spec.ID, runtime.GenerationStopped)
}

func (s *suite) killedClient(t *testing.T, spec runtime.Spec) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, s.in.Dir)
	cmd.Env = append(os.Environ(), serviceVariable+"=client")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if killErr := cmd.Process.Kill(); killErr != nil {
		t.Error(killErr)
	}
	_ = cmd.Wait() // it says "killed"
	if err != nil || line != "ready\n" {
		t.Fatalf("the client says %q, %v", line, err)
	}
}

// runtimeIsKilled: its successor reports what was lost, and has ended what was
// left of it.
func runtimeIsKilled(t *testing.T, s *suite) {
	if s.h.Elsewhere {
		runtimeIsKilledAlone(t, s)
		return
	}
	w := s.watch(t)
	tree, web := s.tree("tree"), s.spec("web", "print", "hello\n")
	leaf := s.leaf(t, tree)
	s.start(t, web)
	w.ready(t, web.ID)
	s.follow(t, "web", "hello\n")
	left := []int{leaf, w.started(t, tree.ID, 1).Started.PID, w.started(t, web.ID, 1).Started.PID}
	w.close(t)

	s.rt = s.in.Kill(t)
	t.Cleanup(func() { s.end(t) }) // before its client is closed
	next := s.watch(t)
	for _, id := range []runtime.ID{tree.ID, web.ID} {
		if exit := next.exited(t, id, 1); !exit.Lost || exit.Success() {
			t.Errorf("%s: %+v", id.Service, exit)
		}
		if status := next.phase(t, id, runtime.GenerationFailed); !status.Lost {
			t.Errorf("%s: %+v", id.Service, status)
		}
	}
	for end := time.Now().Add(patience); len(left) > 0; <-time.After(5 * time.Millisecond) {
		if s.gone(left[0]) {
			left = left[1:]
		} else if time.Now().After(end) {
			t.Fatalf("process %d is left", left[0])
		}
	}
	if got := s.logs(t, runtime.LogQuery{Service: "web"}); got != "hello\n" {
		t.Errorf("the log is %q", got)
	}
	again := s.spec("web", "run")
	again.ID.Number = 2
	s.start(t, again)
	next.ready(t, again.ID)
}

// runtimeIsKilledAlone: what runs elsewhere goes on; the successor tells the
// same of it, and of what ended meanwhile how.
func runtimeIsKilledAlone(t *testing.T, s *suite) {
	w := s.watch(t)
	web, job := s.spec("web", "print", "hello\n"), s.spec("job", "exit", "9", "3s")
	s.start(t, web)
	s.start(t, job)
	w.ready(t, web.ID)
	w.started(t, job.ID, 1)
	w.close(t)

	s.rt = s.in.Kill(t)
	t.Cleanup(func() { s.end(t) }) // before its client is closed
	next := s.watch(t)
	next.ready(t, web.ID)
	if n := count(next.all(), web.ID, runtime.ExitedEvent); n != 0 {
		t.Error("the service is said to have ended with the runtime")
	}
	if exit := next.exited(t, job.ID, 1); exit.Code != 9 || exit.Lost {
		t.Errorf("%+v", exit)
	}
	if _, err := s.rt.Start(t.Context(), web); err != nil {
		t.Errorf("start of what runs: %v", err)
	}
	if n := count(s.watch(t).all(), web.ID, runtime.StartedEvent); n != 1 {
		t.Errorf("it runs %d times", n)
	}
	s.stop(t, web.ID, runtime.StopRequest{})
	next.phase(t, web.ID, runtime.GenerationStopped)
}
