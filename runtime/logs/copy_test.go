package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/stead-dev/stead/runtime"
)

// pipe returns a pipe whose ends are closed with the test.
func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// follow sends copies of blocks until the test ends.
func follow(t testing.TB, s *Store, q runtime.LogQuery) <-chan runtime.LogBlock {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	blocks := make(chan runtime.LogBlock)
	var wg sync.WaitGroup
	wg.Go(func() { // until cancel
		defer close(blocks)
		q.Follow = true
		err := s.Read(ctx, q, func(b runtime.LogBlock) error {
			b.Data = bytes.Clone(b.Data)
			select {
			case blocks <- b:
			case <-ctx.Done():
			}
			return nil
		})
		if err != context.Canceled {
			t.Errorf("follow ended with %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return blocks
}

func next(t testing.TB, blocks <-chan runtime.LogBlock) runtime.LogBlock {
	t.Helper()
	select {
	case b, ok := <-blocks:
		if !ok {
			t.Fatal("the reader ended")
		}
		return b
	case <-time.After(30 * time.Second):
		t.Fatal("nothing comes")
	}
	panic("unreachable")
}

func TestCopyCutsAtLineEnds(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	defer w.Close()
	blocks := follow(t, s, everything)
	r, in := pipe(t)
	var teed bytes.Buffer
	done := make(chan struct{})
	go func() { // until in is closed
		defer close(done)
		w.Copy(r, web(1), runtime.StreamStdout, func(b []byte) { teed.Write(b) })
	}()

	io.WriteString(in, "a whole line\nthe beg")
	if b := next(t, blocks); string(b.Data) != "a whole line\n" {
		t.Errorf("first: %q", b.Data)
	}
	if b := next(t, blocks); string(b.Data) != "the beg" { // after 10 ms
		t.Errorf("second: %q", b.Data)
	}
	io.WriteString(in, "inning\n")
	if b := next(t, blocks); string(b.Data) != "inning\n" {
		t.Errorf("third: %q", b.Data)
	}
	long := strings.Repeat("x", 3*maxBlock)
	io.WriteString(in, long)
	io.WriteString(in, "\nend")
	in.Close()
	<-done
	want := "a whole line\nthe beginning\n" + long + "\nend"
	if got := text(read(t, s, everything)); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
	if teed.String() != want {
		t.Errorf("tee got %d bytes, want %d", teed.Len(), len(want))
	}
}

func TestCopyEndsWhenSourceIsClosed(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	defer w.Close()
	r, in := pipe(t)
	done := make(chan struct{})
	go func() { defer close(done); w.Copy(r, web(1), runtime.StreamStdout, nil) }()
	io.WriteString(in, "held")
	r.Close()
	<-done
	w.Copy(r, web(1), runtime.StreamStdout, nil) // closed before
}

func TestCopyTerminal(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	defer w.Close()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip("no pty here: ", err)
	}
	defer master.Close()
	done := make(chan struct{})
	go func() { defer close(done); w.Copy(master, web(1), runtime.StreamTerminal, nil) }()
	io.WriteString(slave, "prompt> ")
	io.WriteString(slave, "hello\n")
	slave.Close()
	<-done
	if got := text(read(t, s, everything)); got != "prompt> hello\r\n" {
		t.Errorf("got %q", got)
	}
}

// Both streams of several instances write lines in torn pieces, while
// followers read: every line comes whole, in order, from one stream.
func TestLinesStayWhole(t *testing.T) {
	const instances, lines = 3, 1500
	s := open(t, t.TempDir(), Options{SegmentSize: 64 << 10})
	var all sync.WaitGroup
	want := map[string]int{}
	for i := range instances {
		for _, stream := range []runtime.Stream{runtime.StreamStdout, runtime.StreamStderr} {
			in := web(uint64(i + 1))
			key := fmt.Sprint(in, stream)
			want[key] = lines
			w := webWriter(s)
			r, pw := pipe(t)
			all.Go(func() { // until the pipe ends
				w.Copy(r, in, stream, nil)
				w.Close()
			})
			all.Go(func() { // until its lines are written
				defer pw.Close()
				for n := range lines {
					line := fmt.Sprintf("%s %d %s\n", key, n, strings.Repeat(".", n%300))
					half := n % len(line)
					io.WriteString(pw, line[:half])
					io.WriteString(pw, line[half:])
				}
			})
		}
	}
	check := func(when string, each func(func(runtime.LogBlock))) {
		next, rest := map[string]int{}, map[string]string{}
		var offset int64
		each(func(b runtime.LogBlock) {
			if b.Offset != offset || b.Gap != 0 {
				t.Fatalf("%s: offset %d, gap %d, want %d", when, b.Offset, b.Gap, offset)
			}
			offset += int64(len(b.Data))
			key := fmt.Sprint(b.Instance, b.Stream)
			text := rest[key] + string(b.Data)
			for line := range strings.Lines(text) {
				if !strings.HasSuffix(line, "\n") {
					rest[key] = line
					return
				}
				if !strings.HasPrefix(line, fmt.Sprintf("%s %d ", key, next[key])) {
					t.Fatalf("%s: %s: line %d is %q", when, key, next[key], line)
				}
				next[key]++
			}
			rest[key] = ""
		})
		if fmt.Sprint(next) != fmt.Sprint(want) {
			t.Errorf("%s: lines %v, want %v", when, next, want)
		}
	}
	blocks := follow(t, s, everything)
	check("follow", func(fn func(runtime.LogBlock)) {
		for n := 0; n < instances*2*lines; {
			b := next(t, blocks)
			n += bytes.Count(b.Data, []byte("\n"))
			fn(b)
		}
	})
	all.Wait()
	check("afterwards", func(fn func(runtime.LogBlock)) {
		for _, b := range read(t, s, everything) {
			fn(b)
		}
	})
}

// A thousand copies that wait hold no block.
func TestIdleCopyHoldsNoBlock(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	defer w.Close()
	r, in := pipe(t)
	raw, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	c := &copier{src: r, raw: raw, timed: true, put: func([]byte) {}}
	waits := make(chan bool, 10)
	c.try = func(fd uintptr) bool {
		got := c.read(fd)
		if !got {
			waits <- c.block != nil
		}
		return got
	}
	done := make(chan struct{})
	go func() { defer close(done); c.run() }() // until in is closed
	for range 3 {
		if held := <-waits; held {
			t.Error("a block is held while nothing is")
		}
		io.WriteString(in, "line\n")
	}
	<-waits
	in.Close()
	<-done
}
