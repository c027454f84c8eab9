package image

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"testing"
)

// piece is a small one, for tests that see many.
const piece = 5000

// TestGzip: what comes out is what went in, and the same on any number of
// cores, however it was written.
func TestGzip(t *testing.T) {
	text := make([]byte, 7*piece+piece/2)
	for i := range text {
		text[i] = byte(i * i >> 5)
	}
	for _, size := range []int{1, piece - 1, piece, piece + 1, 3 * piece, len(text)} {
		var first []byte
		for _, cores := range []int{1, 2, 5} {
			var out bytes.Buffer
			z := newParallelGzip(&out, cores, piece)
			for rest := text[:size]; len(rest) > 0; {
				n, err := z.Write(rest[:min(len(rest), 700*cores)])
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = bytes.Clone(out.Bytes())
			}
			if !bytes.Equal(first, out.Bytes()) {
				t.Errorf("%d bytes: %d cores make something else", size, cores)
			}
			r, err := gzip.NewReader(&out)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := io.ReadAll(r); err != nil || !bytes.Equal(back, text[:size]) {
				t.Errorf("%d bytes on %d cores came back as %d: %v", size, cores, len(back), err)
			}
		}
	}
}

// fullDisk takes some bytes and no more.
type fullDisk struct{ left int }

var errFull = errors.New("no space left")

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestGzipFullDisk(t *testing.T) {
	text := make([]byte, 5*piece)
	for i := range text {
		text[i] = byte(i * i >> 5)
	}
	for _, left := range []int{0, 10, 1000} {
		z := newParallelGzip(&fullDisk{left}, 3, piece)
		_, err := z.Write(text)
		if closed := z.Close(); !errors.Is(err, errFull) && !errors.Is(closed, errFull) {
			t.Errorf("room for %d bytes: %v, %v", left, err, closed)
		}
	}
}

// BenchmarkGzip is to be read as a ratio: one press against one for each core.
func BenchmarkGzip(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		b.Fatal(err)
	}
	for name, presses := range map[string]int{"one": 1, "cores": cores()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				z := newParallelGzip(io.Discard, presses, gzipPiece)
				if _, err := z.Write(text); err != nil {
					b.Fatal(err)
				}
				if err := z.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
