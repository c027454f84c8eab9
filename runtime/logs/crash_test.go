package logs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// abandon is what kill -9 does to a Store: nothing more is written.
func abandon(s *Store) {
	s.sweeper.close()
	for _, sl := range s.logs {
		sl.log.mu.Lock()
		sl.log.head.pending = nil
		sl.log.closeFiles()
		sl.log.mu.Unlock()
	}
}

// newest returns the path of the newest segment, without its suffix.
func newest(t *testing.T, dir string) string {
	t.Helper()
	names, _ := files(t, dir, dataSuffix)
	if len(names) == 0 {
		t.Fatal("no segments")
	}
	return strings.TrimSuffix(names[len(names)-1], dataSuffix)
}

func TestBytesWithoutEntryAreUnknown(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	webWriter(s).Append(web(1), runtime.StreamStdout, []byte("known\n"))
	s.Close()
	path := newest(t, dir)
	f, err := os.OpenFile(path+dataSuffix, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("unknown\n")
	f.Close()
	at := time.Unix(12345, 0)
	if err := os.Chtimes(path+dataSuffix, at, at); err != nil {
		t.Fatal(err)
	}
	x, err := os.OpenFile(path+indexSuffix, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x.WriteString("a torn entry")
	x.Close()

	for range 2 { // the second time it is in the index
		s = open(t, dir, Options{})
		got := read(t, s, everything)
		if len(got) < 2 || string(got[0].Data) != "known\n" || got[0].Stream != runtime.StreamStdout {
			t.Fatalf("got %v", got)
		}
		b := got[1]
		if string(b.Data) != "unknown\n" || b.Stream != runtime.StreamUnknown || !b.Time.Equal(at) || b.Instance != (runtime.InstanceID{}) {
			t.Errorf("got %v", b)
		}
		webWriter(s).Append(web(2), runtime.StreamStderr, []byte("more\n"))
		s.Close()
	}
	if got := text(read(t, open(t, dir, Options{}), everything)); got != "known\nunknown\nmore\nmore\n" {
		t.Errorf("got %q", got)
	}
}

// A power cut may take data that the index has: a gap, and offsets go on.
func TestDataShorterThanIndex(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	webWriter(s).Append(web(1), runtime.StreamStdout, []byte("0123456789"))
	s.Close()
	if err := os.Truncate(newest(t, dir)+dataSuffix, 4); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	if got := text(read(t, s, everything)); got != "0123<6>" {
		t.Errorf("before the next write: %q", got)
	}
	webWriter(s).Append(web(1), runtime.StreamStdout, []byte("next"))
	got := read(t, s, everything)
	if text(got) != "0123<6>next" || got[len(got)-1].Offset != 10 {
		t.Errorf("after it: %v", got)
	}
}

// Random writes, kills that lose the tail of the index anywhere, restarts:
// every byte is there once, in order, at its offset.
func TestRandomKills(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			o := Options{SegmentSize: 1 << 12, MaxBytes: 1 << 30}
			var want bytes.Buffer
			for range 12 {
				s := open(t, dir, o)
				w := webWriter(s)
				if got := text(read(t, s, everything)); got != want.String() {
					t.Fatalf("after restart: %d bytes, want %d", len(got), want.Len())
				}
				for range rnd.IntN(60) {
					line := fmt.Sprintf("%d %s\n", want.Len(), strings.Repeat(".", rnd.IntN(400)))
					want.WriteString(line)
					w.Append(web(1+rnd.Uint64N(3)), runtime.Stream(1+rnd.IntN(2)), []byte(line))
					if rnd.IntN(20) == 0 {
						w.log.tidy()
					}
				}
				if rnd.IntN(4) == 0 {
					s.Close()
				}
				abandon(s)
				if want.Len() == 0 || rnd.IntN(3) == 0 {
					continue
				}
				path := newest(t, dir) + indexSuffix
				if info, err := os.Stat(path); err == nil {
					os.Truncate(path, rnd.Int64N(info.Size()+1))
				}
				if rnd.IntN(4) == 0 { // a flipped bit in any index
					spoil(t, dir, rnd)
				}
			}
			s := open(t, dir, o)
			if got := text(read(t, s, everything)); got != want.String() {
				t.Fatalf("at the end: %d bytes, want %d", len(got), want.Len())
			}
			for n := 1; n < 200; n += 17 {
				q := everything
				q.Last = n
				lines := strings.SplitAfter(strings.TrimSuffix(want.String(), "\n"), "\n")
				last := strings.Join(lines[max(0, len(lines)-n):], "") + "\n"
				if got := text(read(t, s, q)); got != last {
					t.Fatalf("last %d: %d bytes, want %d", n, len(got), len(last))
				}
			}
		})
	}
}

func spoil(t *testing.T, dir string, rnd *rand.Rand) {
	names, _ := files(t, dir, indexSuffix)
	path := names[rnd.IntN(len(names))]
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return
	}
	b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A real process is killed at any instant, several times: what it had printed
// as written is there, once, and offsets go on.
func TestKilledProcess(t *testing.T) {
	dir := os.Getenv("STEAD_TEST_LOGS")
	if dir != "" {
		writeForEver(dir)
	}
	dir = t.TempDir()
	var promised int64
	for range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
		cmd.Env = append(os.Environ(), "STEAD_TEST_LOGS="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 2000)
		var seen []byte
		for len(seen) < 20_000 {
			n, err := out.Read(b)
			if err != nil {
				break
			}
			seen = append(seen, b[:n]...)
		}
		cmd.Process.Kill()
		cmd.Wait()
		lines := strings.Split(string(seen), "\n")
		n, err := strconv.ParseInt(lines[len(lines)-2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		promised += n

		s := open(t, dir, Options{})
		var offset, line int64
		for _, b := range read(t, s, everything) {
			if b.Offset != offset || b.Gap != 0 {
				t.Fatalf("offset %d, gap %d, want %d", b.Offset, b.Gap, offset)
			}
			offset += int64(len(b.Data))
			line += int64(bytes.Count(b.Data, []byte("\n")))
		}
		if line < promised {
			t.Fatalf("%d lines, of %d", line, promised)
		}
		promised = line // those that nobody was told of are there as well
		s.Close()
	}
}

// writeForEver prints how many lines it has written.
func writeForEver(dir string) {
	w := Open(dir, Options{SegmentSize: 1 << 16}).Writer("local", "shop", "web")
	for i := 1; ; i++ {
		w.Append(web(1), runtime.StreamStdout, []byte("a line\n"))
		if _, err := fmt.Println(i); err != nil {
			os.Exit(0)
		}
	}
}

func FuzzDecode(f *testing.F) {
	good := entry{offset: 100, size: 50, time: 7, gap: 3, generation: 9, replica: 1, attempt: 2, origin: 1, stream: runtime.StreamStderr}
	f.Add(good.encode(nil, 100))
	f.Add(good.encode([]byte("torn"), 0))
	f.Add(make([]byte, 2*entrySize))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, covered := complete(b, 100)
		if n*entrySize > len(b) || covered < 100 {
			t.Fatalf("%d entries of %d bytes, up to %d", n, len(b), covered)
		}
		if e, ok := decode(b, 100); ok && !bytes.Equal(e.encode(nil, 100), b[:entrySize]) {
			t.Fatalf("%+v is not what was decoded", e)
		}
		// Whatever an index says, the data is read once.
		dir := filepath.Join(t.TempDir(), "local", "shop", "web")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		data := strings.Repeat("0123456789", 20)
		os.WriteFile(base(dir, 100)+dataSuffix, []byte(data), 0o600)
		os.WriteFile(base(dir, 100)+indexSuffix, b, 0o600)
		s := Open(filepath.Join(dir, "..", "..", ".."), Options{MaxAge: 1 << 62})
		defer s.Close()
		var got strings.Builder
		for _, block := range read(t, s, everything) {
			got.Write(block.Data)
		}
		if got.String() != data {
			t.Fatalf("%q", got.String())
		}
	})
}
