//go:build !linux

package watch

import (
	"os"
	"syscall"
	"time"
)

// silent is not known here.
func silent(string) string { return "" }

// writer is not known here.
func writer(string) string { return "" }

// seesWriters: see beingWritten.
const seesWriters = false

// beingWritten is not known here: what is written in pieces may be told twice.
func beingWritten(string) bool { return false }

// threadTime is by the clock here, which is never too little.
func threadTime() time.Duration { return time.Since(time.Unix(0, 0)) }

// watchLimit leaves half of the descriptors to the rest of the daemon.
func watchLimit() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 128 // half of the least that macOS gives
	}
	return int(min(limit.Cur, 1<<20) / 2)
}

// watchCost is a descriptor for the directory and for each file.
func watchCost(dir string) int {
	entries, _ := os.ReadDir(dir)
	return 1 + len(entries)
}

func watchHint(int) string {
	return "raise the limit: ulimit -n 65536 in the daemon's environment; or ignore directories that hold no sources"
}

func instanceHint() string { return "restart the daemon" }
