package gateway_test

import (
	"os"
	"strings"
	"testing"
)

const canSeeHangups = true

// report logs the memory of this process, both ends of all connections in it.
func report(t testing.TB, what string, n int) {
	text, err := os.ReadFile("/proc/self/status")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "VmRSS") {
			t.Logf("%d %s: %s", n, what, strings.TrimSpace(line))
		}
	}
}
