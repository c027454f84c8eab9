package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stead-dev/stead/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns a Store that the test closes.
func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := Open(dir, o)
	t.Cleanup(func() { s.Close() })
	return s
}

// clock is a time that a test sets and the sweeper may read.
type clock struct{ ns atomic.Int64 }

func (c *clock) set(seconds int64) { c.ns.Store(seconds * 1e9) }
func (c *clock) now() time.Time    { return unixTime(c.ns.Load()) }

// web returns an instance of the service that the tests write as.
func web(generation uint64) runtime.InstanceID {
	return runtime.InstanceID{ID: runtime.ID{Environment: "local", Project: "shop", Service: "web", Number: generation}, Attempt: 1}
}

func webWriter(s *Store) *Writer { return s.Writer("local", "shop", "web") }

var everything = runtime.LogQuery{Environment: "local", Project: "shop", Service: "web"}

// read returns what q selects; the blocks own their Data.
func read(t testing.TB, s *Store, q runtime.LogQuery) []runtime.LogBlock {
	t.Helper()
	var list []runtime.LogBlock
	err := s.Read(context.Background(), q, func(b runtime.LogBlock) error {
		b.Data = bytes.Clone(b.Data)
		list = append(list, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func text(list []runtime.LogBlock) string {
	var b strings.Builder
	for _, block := range list {
		if block.Gap > 0 {
			fmt.Fprintf(&b, "<%d>", block.Gap)
		}
		b.Write(block.Data)
	}
	return b.String()
}

// files returns the sizes of the segments' files by name.
func files(t testing.TB, dir, suffix string) (names []string, total int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "local", "shop", "web", "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		info, err := os.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return names, total
}

func TestWhatIsAppendedIsRead(t *testing.T) {
	dir := t.TempDir()
	var at clock
	at.set(1000)
	s := open(t, dir, Options{Now: at.now})
	w := webWriter(s)
	w.Append(web(7), runtime.StreamStdout, []byte("one\n"))
	at.set(1001)
	w.Append(web(7), runtime.StreamStderr, []byte("two\n"))
	w.Note(web(7), "exited\nwith code 1\n")
	build := web(8)
	build.ID.Service = "web.build"
	w.Append(build, runtime.StreamStdout, []byte("built\n"))

	want := []runtime.LogBlock{
		{Service: "web", Instance: web(7), Stream: runtime.StreamStdout, Time: time.Unix(1000, 0), Offset: 0, Data: []byte("one\n")},
		{Service: "web", Instance: web(7), Stream: runtime.StreamStderr, Time: time.Unix(1001, 0), Offset: 4, Data: []byte("two\n")},
		{Service: "web", Instance: web(7), Stream: runtime.StreamRuntime, Time: time.Unix(1001, 0), Offset: 8, Data: []byte("exited with code 1\n")},
		{Service: "web", Instance: build, Stream: runtime.StreamStdout, Time: time.Unix(1001, 0), Offset: 27, Data: []byte("built\n")},
	}
	check := func(when string, s *Store) {
		t.Helper()
		got := read(t, s, everything)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n got %v\nwant %v", when, got, want)
		}
	}
	check("from memory", s)
	w.Close()
	check("from disk", s)
	s.Close()
	check("by the next process", open(t, dir, Options{}))

	raw, err := os.ReadFile(filepath.Join(dir, "local/shop/web/00000000000000000000.log"))
	if err != nil || string(raw) != "one\ntwo\nexited with code 1\nbuilt\n" {
		t.Errorf("the file is not raw: %q, %v", raw, err)
	}
	for path, mode := range map[string]os.FileMode{"": 0o700, "00000000000000000000.log": 0o600, "00000000000000000000.idx": 0o600} {
		info, err := os.Stat(filepath.Join(dir, "local/shop/web", path))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("mode of %q: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestQuery(t *testing.T) {
	var at clock
	s := open(t, t.TempDir(), Options{Now: at.now, SegmentSize: 256, MaxBytes: 1 << 20}) // and so 128 bytes of index
	w := webWriter(s)
	defer w.Close()
	for i := range 60 { // in several segments: lines l00 … l59 at second 0 … 59; generation 1 + i/20
		at.set(int64(i))
		w.Append(web(uint64(1+i/20)), runtime.StreamStdout, fmt.Appendf(nil, "l%02d\n", i))
	}
	at.set(60)
	w.Append(web(3), runtime.StreamStderr, []byte("l60")) // without its end
	lines := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "l%02d\n", i)
		}
		return b.String()
	}
	tests := []struct {
		name string
		q    runtime.LogQuery
		want string
	}{
		{"everything", runtime.LogQuery{}, lines(0, 60) + "l60"},
		{"a generation", runtime.LogQuery{Generation: 2}, lines(20, 40)},
		{"none", runtime.LogQuery{Generation: 9}, ""},
		{"since", runtime.LogQuery{Since: time.Unix(50, 0)}, lines(50, 60) + "l60"},
		{"since between", runtime.LogQuery{Since: time.Unix(57, 1)}, lines(58, 60) + "l60"},
		{"until", runtime.LogQuery{Until: time.Unix(3, 0)}, lines(0, 3)},
		{"since, until", runtime.LogQuery{Since: time.Unix(10, 0), Until: time.Unix(12, 0)}, lines(10, 12)},
		{"offset", runtime.LogQuery{Offset: 4 * 58}, lines(58, 60) + "l60"},
		{"offset within a line", runtime.LogQuery{Offset: 4*58 + 1}, "58\n" + lines(59, 60) + "l60"},
		{"offset at the end", runtime.LogQuery{Offset: 4*60 + 3}, ""},
		{"offset to come", runtime.LogQuery{Offset: 9999}, ""},
		{"last 1", runtime.LogQuery{Last: 1}, "l60"},
		{"last 2", runtime.LogQuery{Last: 2}, lines(59, 60) + "l60"},
		{"last 33", runtime.LogQuery{Last: 33}, lines(28, 60) + "l60"},
		{"last 61", runtime.LogQuery{Last: 61}, lines(0, 60) + "l60"},
		{"more than there are", runtime.LogQuery{Last: 1000}, lines(0, 60) + "l60"},
		{"last of a generation", runtime.LogQuery{Last: 3, Generation: 1}, lines(17, 20)},
		{"last until", runtime.LogQuery{Last: 2, Until: time.Unix(31, 0)}, lines(29, 31)},
		{"last, offset", runtime.LogQuery{Last: 10, Offset: 4 * 59}, lines(59, 60) + "l60"},
	}
	for _, test := range tests {
		q := test.q
		q.Environment, q.Project, q.Service = "local", "shop", "web"
		if got := text(read(t, s, q)); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestErrors(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	nothing := func(runtime.LogBlock) error { return nil }
	tests := []struct {
		q    runtime.LogQuery
		want error
	}{
		{everything, runtime.NotFound},
		{runtime.LogQuery{Environment: "local", Project: "..", Service: "web"}, runtime.Invalid},
		{runtime.LogQuery{Environment: "local", Project: "shop", Service: "a/b"}, runtime.Invalid},
		{runtime.LogQuery{Environment: "local", Project: "shop"}, runtime.Invalid},
		{runtime.LogQuery{Environment: "local", Project: "shop", Service: "web", Offset: -1}, runtime.Invalid},
	}
	for _, test := range tests {
		if err := s.Read(context.Background(), test.q, nothing); !errors.Is(err, test.want) {
			t.Errorf("%+v: %v, want %v", test.q, err, test.want)
		}
	}
	w := webWriter(s)
	if got := read(t, s, everything); len(got) != 0 {
		t.Errorf("a service that has not written: %v", got)
	}
	w.Close()
	if got := read(t, s, everything); len(got) != 0 {
		t.Errorf("a service that never wrote: %v", got)
	}
	if err := s.Remove("local", "..", "web"); !errors.Is(err, runtime.Invalid) {
		t.Errorf("remove: %v", err)
	}
	bad := s.Writer("..", "shop", "web")
	bad.Append(web(1), runtime.StreamStdout, []byte("lost\n"))
	bad.Close()

	own := errors.New("enough")
	w = webWriter(s)
	w.Note(web(1), "hello")
	if err := s.Read(context.Background(), everything, func(runtime.LogBlock) error { return own }); err != own {
		t.Errorf("the reader's own error: %v", err)
	}
	w.Close()
	w.Close() // once too often
	s.Close()
	if err := s.Read(context.Background(), everything, nothing); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("after close: %v", err)
	}
}

func TestWriterIsShared(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	a, b := webWriter(s), webWriter(s)
	if a != b {
		t.Error("two Writers of one service")
	}
	a.Close()
	b.Note(web(1), "still open")
	if a.log.parked() {
		t.Error("no file is open")
	}
	b.Close()
	if !a.log.parked() || s.sweeper.visit() != 0 || len(s.logs) != 0 {
		t.Error("the last Close left something in memory")
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	w := webWriter(s)
	w.Note(web(1), "before")
	if err := s.Remove("local", "shop", "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "local")); err == nil {
		t.Error("the directory is still there")
	}
	w.Note(web(1), "after")
	got := read(t, s, everything)
	if text(got) != "after\n" || got[0].Offset != int64(len("before\n")) {
		t.Errorf("after remove: %v", got)
	}
	w.Close()
	if err := s.Remove("local", "shop", "web"); err != nil {
		t.Fatal(err)
	}
	if err := s.Read(context.Background(), everything, nil); !errors.Is(err, runtime.NotFound) {
		t.Errorf("removed: %v", err)
	}
	if err := s.Remove("local", "shop", "web"); err != nil {
		t.Errorf("removed twice: %v", err)
	}
}
