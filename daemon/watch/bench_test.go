package watch_test

import (
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/watch"
)

// tree makes files, ten in a directory.
func tree(b *testing.B, files int) string {
	dir := b.TempDir()
	for i := range files / 10 {
		sub := filepath.Join(dir, fmt.Sprintf("pkg%d/dir%d", i/50, i%50))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 10 {
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("source_file_%d.go", j)), []byte("package x\n"), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	return dir
}

func heap() uint64 {
	goruntime.GC()
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkSet is how long it takes until 50,000 files are watched, and what
// they cost.
func BenchmarkSet(b *testing.B) {
	dir := tree(b, 50_000)
	before := heap()
	var after uint64
	for b.Loop() {
		w := watch.New(watch.Options{})
		if err := w.Set("shop", []watch.Root{{Dir: dir, Gitignore: true}}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		after = heap()
		w.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(after-before)/(1<<20), "MB")
}

// BenchmarkSave is the time from a save to its batch, among 50,000 files.
func BenchmarkSave(b *testing.B) {
	dir := tree(b, 50_000)
	w := watch.New(watch.Options{})
	defer w.Close()
	if err := w.Set("shop", []watch.Root{{Dir: dir}}); err != nil {
		b.Fatal(err)
	}
	for !w.Warmed() {
		time.Sleep(10 * time.Millisecond)
	}
	path := filepath.Join(dir, "pkg3/dir7/source_file_1.go")
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		content := fmt.Appendf(nil, "package x // %d\n", i)
		began := time.Now()
		if err := os.WriteFile(path, content, 0o644); err != nil {
			b.Fatal(err)
		}
		<-w.Batches()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e6, "ms-p50")
	b.ReportMetric(float64(took[len(took)*95/100])/1e6, "ms-p95")
}
