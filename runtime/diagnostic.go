package runtime

import (
	"fmt"
	"strings"
)

// Diagnostic is something wrong at a place in a file: a manifest, or source
// that does not build, or a program that died there.
type Diagnostic struct {
	File       string // absolute
	Line       int    // 1 is the first; 0: the file as a whole
	Column     int    // 1 is the first, in bytes; 0: the whole line
	EndLine    int    // 0: not known
	EndColumn  int    //
	Severity   Severity
	Text       string // lower case, no full stop
	Hint       string // what to do about it
	Source     string // the line's text, for people who have no editor open
	Service    string
	Generation uint64
	Cause      string // what led to it: "saved web/main.go"
	Tool       string // who says so: "go", "tsc"; empty: stead itself
	Code       string // the tool's own name for it: "TS2322"
}

// Severity of a Diagnostic.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Position returns file:line:column as far as they are known.
func (d Diagnostic) Position() string {
	switch {
	case d.Line == 0:
		return d.File
	case d.Column == 0:
		return fmt.Sprintf("%s:%d", d.File, d.Line)
	}
	return fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Column)
}

// Diagnostics is an error that is Invalid: all that is wrong at once.
type Diagnostics []Diagnostic

// Error returns one line per diagnostic.
func (d Diagnostics) Error() string {
	lines := make([]string, len(d))
	for i, one := range d {
		lines[i] = one.Position() + ": " + one.Text
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes errors.Is(d, Invalid) true.
func (d Diagnostics) Unwrap() error { return Invalid }
