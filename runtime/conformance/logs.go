package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

var logCases = []testCase{
	{name: "LogsAreComplete", run: logsAreComplete, processes: true},
	{name: "LogsByGeneration", run: logsByGeneration},
	{name: "LogsLast", run: logsLast},
	{name: "LogsMatch", run: logsMatch},
	{name: "LogsFollow", run: logsFollow},
	{name: "LogsAcrossRestarts", run: logsAcrossRestarts},
	{name: "LogsOfAnother", run: logsOfAnother},
	{name: "LogsOfNobody", run: logsOfNobody},
}

func full(q runtime.LogQuery) runtime.LogQuery {
	q.Environment, q.Project = "local", "conformance"
	return q
}

// logs reads what is there, and checks that offsets have no holes.
func (s *suite) logs(t *testing.T, q runtime.LogQuery) string {
	t.Helper()
	text, next := "", int64(-1)
	err := s.rt.Logs(t.Context(), full(q), func(b runtime.LogBlock) error {
		if next >= 0 && (b.Offset < next || b.Offset > next && q.Generation == 0 && q.Match == "" && !s.h.OthersLogs) {
			t.Errorf("a block at %d follows one that ended at %d", b.Offset, next)
		}
		if b.Gap != 0 {
			t.Errorf("%d bytes are lost at %d", b.Gap, b.Offset)
		}
		next = b.Offset + int64(len(b.Data))
		if b.Stream != runtime.StreamRuntime { // a runtime may add lines of its own
			text += string(b.Data)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("logs: %v", err)
	}
	return text
}

var errSeen = errors.New("seen")

// follow waits until the log holds want, and returns all of it up to there.
func (s *suite) follow(t *testing.T, service, want string) string {
	t.Helper()
	text, err := s.tryFollow(t.Context(), service, want)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (s *suite) tryFollow(ctx context.Context, service, want string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text := ""
	err := s.rt.Logs(ctx, full(runtime.LogQuery{Service: service, Follow: true}), func(b runtime.LogBlock) error {
		if text += string(b.Data); strings.Contains(text, want) {
			return errSeen
		}
		return nil
	})
	if !errors.Is(err, errSeen) {
		return text, fmt.Errorf("follow: %w; %q is not in the log, which is %q", err, want, text)
	}
	return text, nil
}

func logsAreComplete(t *testing.T, s *suite) {
	const lines, size = 20000, 100
	spec := s.spec("web", "lines", fmt.Sprint(lines), fmt.Sprint(size))
	s.start(t, spec)
	got := map[runtime.Stream]*strings.Builder{runtime.StreamStdout: {}, runtime.StreamStderr: {}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := s.rt.Logs(ctx, full(runtime.LogQuery{Service: "web", Follow: true}), func(b runtime.LogBlock) error {
		if b.Instance.ID != spec.ID || b.Instance.Attempt != 1 || b.Service != "web" || b.Time.IsZero() {
			return fmt.Errorf("a block of %v of %q at %v", b.Instance, b.Service, b.Time)
		}
		out := got[b.Stream]
		if s.h.OthersLogs { // blocks are lines
			out = got[runtime.StreamStdout]
			if strings.HasPrefix(string(b.Data), "err") {
				out = got[runtime.StreamStderr]
			}
		}
		if out == nil {
			return fmt.Errorf("a block of stream %d", b.Stream)
		}
		out.Write(b.Data)
		if got[runtime.StreamStdout].Len() == lines*size && got[runtime.StreamStderr].Len() == lines*size {
			return errSeen
		}
		return nil
	})
	if !errors.Is(err, errSeen) {
		t.Fatalf("%v; %d and %d bytes", err, got[runtime.StreamStdout].Len(), got[runtime.StreamStderr].Len())
	}
	for stream, name := range map[runtime.Stream]string{runtime.StreamStdout: "out", runtime.StreamStderr: "err"} {
		text, i := got[stream].String(), 0
		for l := range strings.SplitAfterSeq(text, "\n") {
			if l != "" && l != line(name, i, size) {
				t.Fatalf("%s line %d is %q", name, i, l)
			}
			i++
		}
	}
}

func logsByGeneration(t *testing.T, s *suite) {
	first, second := s.spec("web", "print", "one\n"), s.spec("web", "print", "two\n")
	second.ID.Number = 2
	s.start(t, first)
	s.follow(t, "web", "one\n")
	s.start(t, second)
	s.follow(t, "web", "two\n")
	for generation, want := range []string{"one\ntwo\n", "one\n", "two\n"} {
		if got := s.logs(t, runtime.LogQuery{Service: "web", Generation: uint64(generation)}); got != want {
			t.Errorf("generation %d: %q", generation, got)
		}
	}
}

func logsLast(t *testing.T, s *suite) {
	s.start(t, s.spec("web", "print", "a\nb\nc\nd\n"))
	s.follow(t, "web", "d\n")
	for last, want := range map[int]string{0: "a\nb\nc\nd\n", 1: "d\n", 3: "b\nc\nd\n", 9: "a\nb\nc\nd\n"} {
		if got := s.logs(t, runtime.LogQuery{Service: "web", Last: last}); got != want {
			t.Errorf("last %d: %q", last, got)
		}
	}
}

func logsFollow(t *testing.T, s *suite) {
	first, second := s.spec("web", "print", "one\n"), s.spec("web", "print", "two\n")
	second.ID.Number = 2
	s.start(t, first)
	s.follow(t, "web", "one\n")
	seen := make(chan string, 1)
	go func() { // ends when it has seen the second generation, or by patience
		text, err := s.tryFollow(t.Context(), "web", "two\n")
		if err != nil {
			t.Error(err)
		}
		seen <- text
	}()
	s.start(t, second)
	if got := <-seen; got != "one\ntwo\n" {
		t.Errorf("followed %q", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := s.rt.Logs(ctx, full(runtime.LogQuery{Service: "web", Follow: true}), func(runtime.LogBlock) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a follower whose time is up: %v", err)
	}
}

func logsAcrossRestarts(t *testing.T, s *suite) {
	w := s.watch(t)
	spec := s.spec("web", "print", "line\n")
	spec.Restart = quick(runtime.RestartAlways)
	if s.h.Processes {
		spec.Command = []string{"/bin/sh", "-c", "echo line; exit 1"}
	} else {
		spec.Command = append(spec.Command, "exit")
	}
	attempts := 5
	if s.h.OthersLogs {
		attempts = 3 // a cluster takes its time for more
	}
	spec.Restart.Limit, spec.Restart.Window = attempts-1, time.Hour
	s.start(t, spec)
	w.phase(t, spec.ID, runtime.GenerationFailed)
	if got := s.logs(t, runtime.LogQuery{Service: "web"}); got != strings.Repeat("line\n", attempts) && !s.h.OthersLogs {
		t.Errorf("%d attempts wrote %q", attempts, got)
	}
	attempt := 0
	err := s.rt.Logs(t.Context(), full(runtime.LogQuery{Service: "web"}), func(b runtime.LogBlock) error {
		if b.Instance.Attempt < attempt {
			t.Errorf("attempt %d comes after %d", b.Instance.Attempt, attempt)
		}
		attempt = b.Instance.Attempt
		return nil
	})
	if err != nil || attempt != attempts {
		t.Errorf("the last block is of attempt %d, %v", attempt, err)
	}
}

// logsOfAnother: a build writes into the log of what it builds.
func logsOfAnother(t *testing.T, s *suite) {
	spec := s.spec("web-build", "print", "built\n")
	spec.Log = "web"
	s.start(t, spec)
	s.follow(t, "web", "built\n")
}

func logsOfNobody(t *testing.T, s *suite) {
	err := s.rt.Logs(t.Context(), full(runtime.LogQuery{Service: "nobody"}), func(runtime.LogBlock) error { return nil })
	wantClass(t, "logs of nobody", err, runtime.NotFound)
	s.start(t, s.spec("silent", "run"))
	if got := s.logs(t, runtime.LogQuery{Service: "silent"}); got != "" {
		t.Errorf("a silent service wrote %q", got)
	}
}
