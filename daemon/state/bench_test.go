package state

import (
	"fmt"
	"strconv"
	"testing"
)

func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 256} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			s := opened(b, b.TempDir())
			committed(b, s, sample(1000)) // on top of a full laptop
			batch := sample(n)
			for i := 0; b.Loop(); i++ {
				for _, service := range batch.Services {
					service.Plan.Revision = strconv.Itoa(i) + "x"
				}
				for j := range batch.Events {
					batch.Events[j].Sequence = uint64(1001 + i*n + j)
				}
				committed(b, s, batch)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := opened(b, dir)
	committed(b, s, sample(1000))
	s.Close()
	for b.Loop() {
		s := opened(b, dir)
		loaded(b, s)
		s.Close()
	}
}
