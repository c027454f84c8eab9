package image

import (
	"sync/atomic"

	"github.com/stead-dev/stead/runtime"
)

// newCounter returns what adds up the bytes of one image. Layers travel side
// by side.
func newCounter(id runtime.ID, tell func(Progress)) func(int) {
	var sent atomic.Int64
	return func(n int) {
		if n > 0 {
			tell(Progress{ID: id, Sent: sent.Add(int64(n))})
		}
	}
}
