package process

import (
	goruntime "runtime"
	"sync/atomic"
	"time"
)

// crowd counts the instances that are asked whether they are ready yet.
type crowd struct{ size atomic.Int64 }

const (
	// crowdShare is what each of a crowd adds to the first pause between
	// attempts, on one core: a fifth of what a start takes of it, at least. In
	// a crowd they all take longer, and asking as often as if each were alone
	// would be a tenth of what a start of a thousand services costs.
	crowdShare = 500 * time.Microsecond
	crowdMost  = 8 * time.Millisecond // also when a great many never get ready
)

// enter adds one, and returns its first pause between attempts.
func (c *crowd) enter() time.Duration {
	size := time.Duration(c.size.Add(1))
	return min(max(probeFirst, size*crowdShare/time.Duration(goruntime.GOMAXPROCS(0))), crowdMost)
}

func (c *crowd) leave() { c.size.Add(-1) }
