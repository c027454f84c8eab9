package manifest

import (
	"path/filepath"
	"strings"
	"testing"
)

// YAML ends lines where nobody else does. A manifest with a CR among its LFs
// crashed the daemon, and messages had the wrong line.
func TestLinesEndAsYAMLEndsThem(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r", "\u0085", "\u2028", "\u2029"} {
		text := strings.Join([]string{"# one", "services:", "  web: {command: a $UNSET}", "  x: {wrong: 1}"}, end)
		doc := newDocument(filepath.Join(t.TempDir(), FileName), text, Request{})
		doc.project(Request{})
		warnings, errors := doc.findings()
		if len(warnings) == 0 || warnings[0].Line != 3 || warnings[0].Column != 20 || !strings.HasPrefix(warnings[0].Source, "  web: {command: a $UNSET}") {
			t.Errorf("%q: warnings %+v", end, warnings)
		}
		if len(errors) == 0 || errors[0].Line != 4 || !strings.HasPrefix(errors[0].Source, "  x: {wrong: 1}") {
			t.Errorf("%q: errors %+v", end, errors)
		}
	}
}
