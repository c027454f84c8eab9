package ipc

import (
	"fmt"
	"slices"
	"strings"
)

// didYouMean returns `, did you mean "api"?` when one of known is close to
// word, else "".
func didYouMean(word string, known []string) string {
	best, least := "", max(1, len(word)/3)+1 // a third of the letters may be wrong
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// distance is how many bytes must be put in, left out, changed, or swapped
// with their neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

// list joins names for a hint, the first few only.
func list(names []string) string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	const few = 8
	if len(names) > few {
		return strings.Join(names[:few], ", ") + fmt.Sprintf(" and %d more", len(names)-few)
	}
	return strings.Join(names, ", ")
}
