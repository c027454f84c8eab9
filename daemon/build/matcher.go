package build

import (
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/stead-dev/stead/runtime"
)

// MatcherSpec is a problem matcher as a manifest has it: an expression for a
// line, and the numbers of its groups. 0 is the group that has the field's
// name ("file", "message"), when there is one.
type MatcherSpec struct {
	Pattern                               string // RE2
	File, Line, Column, Severity, Message int
	Level                                 runtime.Severity // where no severity is matched, or no word for one; empty: error
}

// Matcher is a MatcherSpec that makes sense. It is immutable.
type Matcher struct {
	pattern                               *regexp.Regexp
	file, line, column, severity, message int // 0: there is none
	level                                 runtime.Severity
}

// NewMatcher compiles spec. The error is Invalid, and says which field is wrong.
func NewMatcher(spec MatcherSpec) (*Matcher, error) {
	pattern, err := regexp.Compile(spec.Pattern)
	if err != nil {
		reason := err.Error()
		if e, ok := err.(*syntax.Error); ok {
			reason = e.Code.String() + ": `" + e.Expr + "`"
		}
		return nil, wrong("pattern: %s", reason)
	}
	m := &Matcher{pattern: pattern, level: spec.Level}
	switch spec.Level {
	case "", runtime.SeverityError, runtime.SeverityWarning:
	default:
		return nil, wrong("severity %q: neither error nor warning", spec.Level)
	}
	for _, group := range []struct {
		name   string
		number int
		to     *int
	}{
		{"file", spec.File, &m.file}, {"line", spec.Line, &m.line}, {"column", spec.Column, &m.column},
		{"severity", spec.Severity, &m.severity}, {"message", spec.Message, &m.message},
	} {
		if group.number < 0 || group.number > pattern.NumSubexp() {
			return nil, wrong("%s: group %d, but pattern has %d groups", group.name, group.number, pattern.NumSubexp())
		}
		*group.to = group.number
		if group.number == 0 {
			*group.to = max(pattern.SubexpIndex(group.name), 0)
		}
	}
	if m.file == 0 {
		return nil, wrong("no group for file: name one (?P<file>…), or say which number it has")
	}
	return m, nil
}

func wrong(format string, args ...any) error {
	return fmt.Errorf("problem matcher: %s: %w", fmt.Sprintf(format, args...), runtime.Invalid)
}

// match returns what the line says.
func (m *Matcher) match(p *Parser, line string) (runtime.Diagnostic, bool) {
	found := m.pattern.FindStringSubmatch(line)
	if found == nil || found[m.file] == "" {
		return runtime.Diagnostic{}, false
	}
	found[0] = "" // what a field without a group is
	severity, ok := severityOf(found[m.severity], m.level)
	if !ok {
		severity, _ = severityOf("", m.level)
	}
	text := found[m.message]
	if text == "" {
		text = line
	}
	return runtime.Diagnostic{
		File: p.path(found[m.file]), Line: number(found[m.line]), Column: number(found[m.column]),
		Severity: severity, Text: text, Tool: "matcher",
	}, true
}
