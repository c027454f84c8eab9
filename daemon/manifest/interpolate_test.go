package manifest

import (
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/template"
)

// TestInterpolationIsCompose compares with compose-go, the reference.
func TestInterpolationIsCompose(t *testing.T) {
	env := map[string]string{"A": "a", "EMPTY": "", "B_2": "b", "DOLLAR": "$A"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for _, text := range []string{
		"", "plain", "$A", "${A}", "x${A}y$A.z", "$$", "$$A", "$${A}", "$$$A", "5$", "$1", "$-", "a $ b", "$B_2", "$A_",
		"${NONE}", "$NONE", "${EMPTY}", "${A:-d}", "${A-d}", "${EMPTY:-d}", "${EMPTY-d}", "${NONE:-d}", "${NONE-d}", "${NONE:-}",
		"${NONE:-a:-b}", "${NONE:-$A}", "${NONE:-${A}}", "${NONE:-${NONE2:-${A}}}x", "${NONE:-{}}", "${NONE:-$$A}", "${DOLLAR}",
		"${A:?m}", "${A?m}", "${EMPTY:?m}", "${EMPTY?m}", "${NONE:?m}", "${NONE?m}", "${NONE:?$A}",
		"${A:+o}", "${A+o}", "${EMPTY:+o}", "${EMPTY+o}", "${NONE:+o}", "${NONE+o}", "${A:+${B_2}}",
		"${", "${}", "${A", "${1}", "${A!}", "${-x}", "}", "{A}", "é${A}ü",
	} {
		x := expansion{lookup: lookup}
		got, gotErr := x.expand(text)
		want, wantErr := template.SubstituteWithOptions(text, lookup, template.WithoutLogging)
		if gotErr != nil {
			got, want = "", ""
		}
		if got != want || (gotErr == nil) != (wantErr == nil) {
			t.Errorf("%q: %q, %v; compose: %q, %v", text, got, gotErr, want, wantErr)
		}
	}
}

func TestNestingIsBounded(t *testing.T) {
	x := expansion{lookup: func(string) (string, bool) { return "", false }}
	if _, err := x.expand(strings.Repeat("${A:-", 1000) + strings.Repeat("}", 1000)); err == nil {
		t.Error("a thousand nested variables are fine")
	}
}
