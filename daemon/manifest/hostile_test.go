package manifest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestHostileManifests: what is large and wrong in every way is read to its
// end in bounded time and memory. (A failure shows as a test that takes
// minutes; each takes well under a second.)
func TestHostileManifests(t *testing.T) {
	many := func(n int, format string) string {
		var out strings.Builder
		for i := range n {
			fmt.Fprintf(&out, format, i)
		}
		return out.String()
	}
	ring := func(n int) string {
		var out strings.Builder
		for i := range n {
			fmt.Fprintf(&out, "  s%d: {command: a, depends_on: [s%d]}\n", i, (i+1)%n)
		}
		return out.String()
	}
	for name, text := range map[string]string{
		"one line of unknown keys":      "services: {web: {" + many(10_000, "unknown%d: 1, ") + "}}",
		"one line of unset variables":   "services: {web: {command: [" + many(10_000, "$UNSET%d, ") + "]}}",
		"dependencies on nobody":        "services:\n" + many(2000, "  s%d: {command: a}\n") + "  all: {command: a, depends_on: [" + many(10_000, "n%d, ") + "]}",
		"two cycles in each service":    "services:\n" + many(4000, "  s%[1]d: {command: a, depends_on: [\"s${X:-}%[1]d\", s0]}\n"),
		"deep brackets":                 "services: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"an alias of a list many times": "x-l: &l [" + many(300, "$U%d, ") + "]\nservices:\n" + many(200, "  s%d: {command: *l}\n"),
		"merges of merges":              "x-a: &a {" + many(100, "k%d: 1, ") + "}\nservices:\n" + many(100, "  s%d: {<<: [*a, *a], command: a}\n"),
		"anchors that explode": "x-a: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" +
			many(60, "x-%[1]d: &b%[1]d [*a0, *a0]\n") + "x-z: &z [*b0, *b1, *b2, *b3, *b4, *b5, *b6, *b7, *b8, *b9]\nx-y: &y [" +
			strings.Repeat("*z, ", 1000) + "]\nservices: {web: {command: [" + strings.Repeat("*y, ", 1000) + "]}}",
		"a ring": "services:\n" + ring(4000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := newDocument(filepath.Join(t.TempDir(), FileName), text, Request{})
			doc.project(Request{})
			warnings, errors := doc.findings()
			if len(errors) > maxFindings+1 || len(warnings) > maxFindings+1 || len(errors)+len(warnings) == 0 {
				t.Errorf("%d errors, %d warnings", len(errors), len(warnings))
			}
		})
	}
}
