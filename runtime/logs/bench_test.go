package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

const benchBytes = 64 << 20 // per iteration

// pour writes benchBytes of lines into a new pipe at full speed, as a child
// does, and lets drain read them.
func pour(b *testing.B, drain func(src *os.File)) {
	b.Helper()
	lines := bytes.Repeat([]byte("2026-01-02T03:04:05Z INFO request served path=/api/v1/items status=200 took=1.234ms\n"), 400)
	r, w := pipe(b)
	done := make(chan struct{})
	go func() { // until its bytes are written
		defer close(done)
		defer w.Close()
		for n := 0; n < benchBytes; n += len(lines) {
			if _, err := w.Write(lines); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	drain(r)
	<-done
	r.Close()
}

// floor is a bare copy of a pipe to a file, which is begun anew as often as
// retention removes as much of a log.
type floor struct {
	dst   *os.File
	block []byte
	size  int64
}

func newFloor(b *testing.B) *floor {
	dst, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { dst.Close() })
	return &floor{dst: dst, block: make([]byte, 64<<10)}
}

func (f *floor) drain(src *os.File) {
	for {
		n, err := src.Read(f.block)
		if err != nil {
			return
		}
		if _, err := f.dst.WriteAt(f.block[:n], f.size); err != nil {
			panic(err)
		}
		if f.size += int64(n); f.size >= 256<<20 {
			f.dst.Truncate(0)
			f.size = 0
		}
	}
}

func copying(b *testing.B) func(src *os.File) {
	w := webWriter(open(b, b.TempDir(), Options{}))
	b.Cleanup(w.Close)
	return func(src *os.File) { w.Copy(src, web(1), runtime.StreamStdout, nil) }
}

func BenchmarkFloor(b *testing.B) {
	f := newFloor(b)
	b.SetBytes(benchBytes)
	for b.Loop() {
		pour(b, f.drain)
	}
}

func BenchmarkCopy(b *testing.B) {
	drain := copying(b)
	b.SetBytes(benchBytes)
	for b.Loop() {
		pour(b, drain)
	}
}

// BenchmarkRatio interleaves the two and reports how much of the floor's
// speed Copy has: of the means, since medians
// would leave out what the floor pays for freeing its file.
func BenchmarkRatio(b *testing.B) {
	f, drain := newFloor(b), copying(b)
	var bare, ours time.Duration
	for b.Loop() {
		begun := time.Now()
		pour(b, f.drain)
		middle := time.Now()
		pour(b, drain)
		bare += middle.Sub(begun)
		ours += time.Since(middle)
	}
	total := float64(b.N) * benchBytes / 1e6
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "x-floor")
	b.ReportMetric(total/bare.Seconds(), "floor-MB/s")
	b.ReportMetric(total/ours.Seconds(), "copy-MB/s")
}

func BenchmarkAppend(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	w := webWriter(s)
	line := []byte("2026-01-02T03:04:05Z INFO request served\n")
	b.ReportAllocs()
	for b.Loop() {
		w.Append(web(1), runtime.StreamStdout, line)
	}
	w.Close()
}

// BenchmarkMatch searches 256 MiB in the page's cache.
func BenchmarkMatch(b *testing.B) {
	const total = 256 << 20
	s := open(b, b.TempDir(), Options{MaxBytes: 2 * total})
	w := webWriter(s)
	defer w.Close()
	for n := 0; n < total; {
		var lines []byte
		for range 500 {
			n += 120
			lines = fmt.Appendf(lines, "2026-01-02T03:04:05.%09dZ INFO request served path=/api/v1/items/%08d status=200 took=1.234ms user=alice trace=0123\n", n, n)
		}
		w.Append(web(1), runtime.StreamStdout, lines)
	}
	w.Append(web(1), runtime.StreamStdout, []byte("ERROR a needle\n"))
	for _, expr := range []string{"needle", "(?i)needle", "error|needle|panic", "ERROR .* ne+dle", `status=200 .*9999`, `\d{30}`} {
		b.Run(expr, func(b *testing.B) {
			q := everything
			q.Match = expr
			b.SetBytes(total)
			for b.Loop() {
				read(b, s, q)
			}
		})
	}
}

// BenchmarkHundred is BenchmarkRatio for a hundred services at once.
func BenchmarkHundred(b *testing.B) {
	const n, size = 100, 4 << 20
	lines := bytes.Repeat([]byte("2026-01-02T03:04:05Z INFO request served path=/api/v1/items status=200 took=1.234ms\n"), 780)
	all := func(drain func(i int, src *os.File)) time.Duration {
		var wg sync.WaitGroup
		begun := time.Now()
		for i := range n {
			r, w, err := os.Pipe()
			if err != nil {
				b.Fatal(err)
			}
			wg.Go(func() { // until its bytes are written
				defer w.Close()
				for written := 0; written < size; written += len(lines) {
					if _, err := w.Write(lines); err != nil {
						b.Error(err)
						return
					}
				}
			})
			wg.Go(func() { drain(i, r); r.Close() }) // until the pipe ends
		}
		wg.Wait()
		return time.Since(begun)
	}
	s := open(b, b.TempDir(), Options{})
	dir := b.TempDir()
	var bare, ours time.Duration
	for b.Loop() {
		bare += all(func(i int, src *os.File) {
			dst, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
			if err != nil {
				b.Error(err)
				return
			}
			defer dst.Close()
			block := make([]byte, 64<<10)
			for {
				got, err := src.Read(block)
				if err != nil {
					return
				}
				if _, err := dst.Write(block[:got]); err != nil {
					b.Error(err)
				}
			}
		})
		ours += all(func(i int, src *os.File) {
			service := fmt.Sprint("s", i)
			in := web(1)
			in.ID.Service = service
			w := s.Writer("local", "shop", service)
			w.Copy(src, in, runtime.StreamStdout, nil)
			w.Close()
		})
		b.StopTimer()
		for i := range n {
			os.Remove(filepath.Join(dir, fmt.Sprint(i)))
			s.Remove("local", "shop", fmt.Sprint("s", i))
		}
		b.StartTimer()
	}
	total := float64(b.N) * n * size / 1e6
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "x-floor")
	b.ReportMetric(total/bare.Seconds(), "floor-MB/s")
	b.ReportMetric(total/ours.Seconds(), "copy-MB/s")
}
