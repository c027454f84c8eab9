package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// fullDisk lets so many bytes of data through, and then none; indexes always.
type fullDisk struct{ left atomic.Int64 }

func (d *fullDisk) open(path string) (file, error) {
	f, err := openFile(path)
	if err != nil || filepath.Ext(path) != dataSuffix {
		return f, err
	}
	return &fullFile{f, d}, nil
}

type fullFile struct {
	file
	disk *fullDisk
}

func (f *fullFile) WriteAt(b []byte, at int64) (int, error) {
	n := min(int64(len(b)), f.disk.left.Load())
	f.disk.left.Add(-n)
	if _, err := f.file.WriteAt(b[:n], at); err != nil {
		return 0, err
	}
	if n < int64(len(b)) {
		return int(n), syscall.ENOSPC
	}
	return int(n), nil
}

func TestFullDiskIsGap(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	var disk fullDisk
	s.open = disk.open
	w := webWriter(s)
	blocks := follow(t, s, everything)
	put := func(text string) { w.Append(web(1), runtime.StreamStdout, []byte(text)) }

	disk.left.Store(12)
	put("first\n")
	put("second\n") // one byte is missing
	put("third\n")
	disk.left.Store(1000)
	put("fourth\n")
	disk.left.Store(0)
	put("fifth\n")
	w.Close() // the loss at the end is told, too

	const want = "first\nsecond<7>fourth\n<6>"
	var got []runtime.LogBlock
	for !strings.HasSuffix(text(got), "<6>") {
		got = append(got, next(t, blocks))
	}
	if text(got) != want {
		t.Errorf("follower: %q, want %q", text(got), want)
	}
	if got := text(read(t, s, everything)); got != want {
		t.Errorf("reader: %q, want %q", got, want)
	}
	disk.left.Store(1000)
	w = webWriter(s)
	put("sixth\n")
	if b := next(t, blocks); string(b.Data) != "sixth\n" || b.Gap != 0 {
		t.Errorf("follower goes on with %v", b)
	}
	w.Close()
	if got := text(read(t, open(t, dir, Options{}), everything)); got != want+"sixth\n" {
		t.Errorf("next process: %q", got)
	}
}

// A file that cannot be opened at all is like a full disk.
func TestUnwritableDirectoryIsGap(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "local"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{})
	w := webWriter(s)
	w.Note(web(1), "lost")
	if err := os.Remove(filepath.Join(dir, "local")); err != nil {
		t.Fatal(err)
	}
	w.Note(web(1), "kept")
	w.Close()
	if got := text(read(t, s, everything)); got != "<5>kept\n" {
		t.Errorf("got %q", got)
	}
}

func TestRealFullDisk(t *testing.T) {
	dir := smallDisk(t, "256k")
	s := open(t, dir, Options{})
	w := webWriter(s)
	block := bytes.Repeat([]byte("0123456789abcde\n"), 1024)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 20 { // 320 KiB
		w.Append(web(1), runtime.StreamStdout, block)
	}
	os.Remove(ballast)
	w.Append(web(1), runtime.StreamStderr, []byte("works again\n"))
	w.Close()
	var data, gap int64
	list := read(t, s, everything)
	for _, b := range list {
		data += int64(len(b.Data))
		gap += b.Gap
	}
	if want := int64(20*len(block) + len("works again\n")); data+gap != want || gap == 0 {
		t.Errorf("%d bytes and a gap of %d, want %d together", data, gap, want)
	}
	if last := list[len(list)-1]; string(last.Data) != "works again\n" || last.Gap != gap {
		t.Errorf("last: %v", last)
	}
}

func TestRotationAndRetention(t *testing.T) {
	dir := t.TempDir()
	o := Options{SegmentSize: 1 << 10, MaxBytes: 8 << 10}
	var at clock
	o.Now = at.now
	s := open(t, dir, o)
	w := webWriter(s)
	var want strings.Builder
	for i := range 1000 {
		at.set(1e9 + int64(i))
		line := fmt.Sprintf("%s line %d\n", strings.Repeat(".", 90), i)
		want.WriteString(line)
		w.Append(web(1), runtime.StreamStdout, []byte(line))
	}
	w.Close()
	s.sweeper.settle()
	names, data := files(t, dir, dataSuffix)
	_, index := files(t, dir, indexSuffix)
	if len(names) < 3 || data+index > o.MaxBytes {
		t.Errorf("%d segments, %d + %d bytes", len(names), data, index)
	}
	got := read(t, s, everything)
	if !strings.HasSuffix(want.String(), text(got)) || got[0].Offset != int64(want.Len()-len(text(got))) {
		t.Errorf("kept: %d bytes from %d", len(text(got)), got[0].Offset)
	}

	// By age, at open: the newest stays however old it is.
	s.Close()
	old := time.Unix(1e8, 0)
	for _, name := range names {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir, o)
	left := text(read(t, s, everything))
	s.sweeper.settle()
	if names, _ := files(t, dir, dataSuffix); len(names) != 1 || !strings.HasSuffix(left, "line 999\n") {
		t.Errorf("by age: %d segments left, ending in %q", len(names), left)
	}
	w = webWriter(s)
	w.Note(web(2), "on")
	w.Close()
	if got := read(t, s, everything); got[len(got)-1].Offset != int64(want.Len()) {
		t.Errorf("offsets do not go on: %v", got[len(got)-1])
	}
}

// A service that was silent for longer than MaxAge: were its only segment
// removed before the next one is there, a kill would set offsets back to 0.
func TestNewestSegmentStaysWhenSealed(t *testing.T) {
	dir := t.TempDir()
	var at clock
	s := open(t, dir, Options{Now: at.now})
	w := webWriter(s)
	at.set(1e9)
	w.Note(web(1), "old")
	at.set(2e9)
	var disk fullDisk
	s.open = disk.open
	w.Note(web(2), "lost")
	s.sweeper.settle()
	abandon(s)
	s = open(t, dir, Options{})
	webWriter(s).Note(web(3), "new")
	got := read(t, s, everything)
	if last := got[len(got)-1]; text(got) != "old\nnew\n" || last.Offset != 4 {
		t.Errorf("got %v", got)
	}
}

// Index entries reach the disk by themselves, then the files are closed, and
// then nothing runs any more.
func TestSweeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := Open(dir, Options{})
		defer s.Close()
		w := webWriter(s)
		w.Note(web(1), "hello")
		if _, size := files(t, dir, indexSuffix); size != 0 {
			t.Errorf("index at once: %d bytes", size)
		}
		time.Sleep(flushAfter)
		synctest.Wait()
		if _, size := files(t, dir, indexSuffix); size != entrySize {
			t.Errorf("index after 100 ms: %d bytes", size)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !w.log.parked() || s.sweeper.visit() != 0 {
			t.Error("files are open after a minute of silence")
		}
		w.Note(web(1), "again")
		time.Sleep(flushAfter)
		synctest.Wait()
		if _, size := files(t, dir, indexSuffix); size != 2*entrySize {
			t.Errorf("index after the second note: %d bytes", size)
		}
		w.Close()
	})
}
