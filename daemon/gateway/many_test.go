package gateway_test

import (
	"os"
	"syscall"
	"testing"
)

// many is how many callers TestManyParked parks. STEAD_MANY=1 makes it as many
// as the descriptors of one process allow, both ends of both sides: 10,000
// with 42,000 of them.
func many(t *testing.T) int {
	if os.Getenv("STEAD_MANY") == "" {
		return 500
	}
	var files syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	return min(10_000, (int(min(files.Cur, 1<<20))-2000)/4)
}
