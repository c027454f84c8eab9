package logs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stead-dev/stead/runtime"
)

func TestFollowStartsBeforeTheService(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	blocks := follow(t, s, everything)
	w := webWriter(s)
	w.Append(web(1), runtime.StreamStdout, []byte("first\n"))
	if b := next(t, blocks); string(b.Data) != "first\n" {
		t.Errorf("got %q", b.Data)
	}
	w.Close() // files are closed under the follower
	w = webWriter(s)
	w.Append(web(2), runtime.StreamStdout, []byte("second\n"))
	if b := next(t, blocks); string(b.Data) != "second\n" || b.Instance != web(2) {
		t.Errorf("got %v", b)
	}
	w.Close()
}

func TestFollowAfterLast(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	defer w.Close()
	for i := range 9 {
		w.Append(web(1), runtime.StreamStdout, fmt.Appendf(nil, "%d\n", i))
	}
	q := everything
	q.Last = 2
	blocks := follow(t, s, q)
	if b := next(t, blocks); string(b.Data) != "7\n8\n" {
		t.Errorf("got %q", b.Data)
	}
	w.Append(web(1), runtime.StreamStdout, []byte("9\n"))
	if b := next(t, blocks); string(b.Data) != "9\n" {
		t.Errorf("got %q", b.Data)
	}
}

func TestFollowEndsWithStore(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	w.Note(web(1), "hello")
	ended := make(chan error)
	begun := make(chan struct{})
	q := everything
	q.Follow = true
	go func() { // until Close
		ended <- s.Read(context.Background(), q, func(runtime.LogBlock) error { close(begun); return nil })
	}()
	<-begun
	s.Close()
	if err := <-ended; !errors.Is(err, runtime.Unavailable) {
		t.Errorf("ended with %v", err)
	}
	w.Note(web(1), "dropped")
	w.Close()
}

// A reader that is stuck gets a gap for what retention took meanwhile, and
// the sum of gaps and data is all that was written.
func TestSlowReaderGetsGap(t *testing.T) {
	s := open(t, t.TempDir(), Options{SegmentSize: 1 << 10, MaxBytes: 4 << 10})
	w := webWriter(s)
	defer w.Close()
	line := []byte(strings.Repeat("x", 99) + "\n")
	w.Append(web(1), runtime.StreamStdout, line)
	blocks := follow(t, s, everything)
	total := int64(len(next(t, blocks).Data))
	for range 200 {
		w.Append(web(1), runtime.StreamStdout, line)
	}
	var gap int64
	for total < 201*int64(len(line)) {
		b := next(t, blocks)
		gap += b.Gap
		if b.Offset != total+b.Gap {
			t.Fatalf("offset %d after %d, gap %d", b.Offset, total, b.Gap)
		}
		total += b.Gap + int64(len(b.Data))
	}
	if gap == 0 {
		t.Error("no gap")
	}
}

// Offset 0 is everything there is; a position that is gone is a gap.
func TestRemovedOffsetIsGap(t *testing.T) {
	s := open(t, t.TempDir(), Options{SegmentSize: 1 << 10, MaxBytes: 4 << 10})
	w := webWriter(s)
	defer w.Close()
	for range 100 {
		w.Append(web(1), runtime.StreamStdout, []byte(strings.Repeat("x", 99)+"\n"))
	}
	all := read(t, s, everything)
	if all[0].Gap != 0 || all[0].Offset == 0 {
		t.Errorf("first block: offset %d, gap %d", all[0].Offset, all[0].Gap)
	}
	q := everything
	q.Offset = 42
	if got := read(t, s, q); got[0].Gap != all[0].Offset-42 {
		t.Errorf("gap %d, want %d", got[0].Gap, all[0].Offset-42)
	}
}

// Files that somebody deleted are a gap, and new output is kept again.
func TestDeletedByHand(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	w := webWriter(s)
	defer w.Close()
	w.Note(web(1), "before")
	if err := os.RemoveAll(dir + "/local"); err != nil {
		t.Fatal(err)
	}
	if got := text(read(t, s, everything)); got != "<7>" {
		t.Errorf("deleted: %q", got)
	}
	w.Note(web(1), "after")
	if got := text(read(t, s, everything)); got != "after\n" {
		t.Errorf("afterwards: %q", got)
	}
}

// Each line reaches who follows by itself, not with the next one. How soon is
// measured by lab bench -rows logs-follow.
func TestFollowerIsWoken(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	defer w.Close()
	blocks := follow(t, s, everything)
	for range 100 {
		w.Append(web(1), runtime.StreamStdout, []byte("tick\n"))
		if b := next(t, blocks); string(b.Data) != "tick\n" {
			t.Errorf("%q", b.Data)
		}
	}
}

// A follower that has nothing to show for a while holds no file.
func TestIdleFollowerHoldsNoFile(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	w.Note(web(1), "hello")
	w.Close()
	q := everything
	q.Follow = true
	r := reader{log: s.acquireReader(name{"local", "shop", "web"}), query: q, fn: func(runtime.LogBlock) error { return nil }}
	defer s.releaseReader(r.log)
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), quietAfter+quietAfter/2)
	defer cancel()
	if err := r.run(ctx); err != context.DeadlineExceeded || r.cursor.data != nil || r.cursor.index != nil {
		t.Errorf("%v, files %v %v", err, r.cursor.data, r.cursor.index)
	}
}
