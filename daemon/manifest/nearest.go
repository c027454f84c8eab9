package manifest

import (
	"slices"
	"strconv"
	"strings"
)

// suggest is the hint for a name that is not among names.
func suggest(name string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	best, distance := "", 1+max(1, len(name)/3) // a third of the letters wrong is a typo, more is another word
	for _, one := range names {
		if d := editDistance(strings.ToLower(name), strings.ToLower(one), distance); d < distance {
			best, distance = one, d
		}
	}
	if best != "" {
		return "did you mean " + strconv.Quote(best) + "?"
	}
	const most = 40 // names that a hint can list and still be read
	list := slices.Sorted(slices.Values(names))
	if len(list) > most {
		list = append(list[:most:most], "…")
	}
	return "there is: " + strings.Join(list, ", ")
}

// editDistance is the number of insertions, deletions, substitutions and
// swaps of neighbours that make b of a (optimal string alignment), or limit
// when it is not less.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
