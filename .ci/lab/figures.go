package main

import (
	"fmt"
	"slices"
	"time"
)

// sample is a list of durations of one thing.
type sample []time.Duration

func (s sample) percentile(p int) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

func (s sample) String() string {
	if len(s) == 0 {
		return "none: it did not come back"
	}
	return fmt.Sprintf("p50 %s  p95 %s  (%d samples)", ms(s.percentile(50)), ms(s.percentile(95)), len(s))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }

// verdicts prints whether budgets are kept, and counts those that are not.
type verdicts struct{ missed int }

func (v *verdicts) check(what string, kept bool) {
	word := "kept"
	if !kept {
		word = "MISSED"
		v.missed++
	}
	fmt.Printf("  budget %-64s %s\n", what, word)
}
