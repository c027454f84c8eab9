package build

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"

	"github.com/stead-dev/stead/runtime"
)

// MatcherSpec is a problem matcher as a manifest has it: an expression for a
// line, and which of its groups is what. A group is named by its number or
// name; one left out is the group that has the field's name, if there is one
// ("message" may be called "text").
type MatcherSpec struct {
	Pattern   string // RE2
	File      string
	Line      string
	Column    string
	EndLine   string
	EndColumn string
	Severity  string
	Code      string
	Message   string
	Default   runtime.Severity // where no severity is matched; empty: error
	Tool      string           // what its diagnostics are said to be from
}

// Matcher is a MatcherSpec that makes sense. It is immutable.
type Matcher struct {
	pattern  *regexp.Regexp
	tool     string
	severity runtime.Severity
	groups   map[string]int // by field
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
	m := &Matcher{pattern: pattern, tool: spec.Tool, severity: spec.Default, groups: map[string]int{}}
	switch spec.Default {
	case "", runtime.SeverityError, runtime.SeverityWarning:
	default:
		return nil, wrong("default severity %q: neither error nor warning", spec.Default)
	}
	for _, field := range []struct{ name, group, other string }{
		{"file", spec.File, ""}, {"line", spec.Line, ""}, {"column", spec.Column, ""},
		{"endline", spec.EndLine, "end_line"}, {"endcolumn", spec.EndColumn, "end_column"},
		{"severity", spec.Severity, ""}, {"code", spec.Code, ""}, {"message", spec.Message, "text"},
	} {
		if err := m.assign(field.name, field.group, field.other); err != nil {
			return nil, err
		}
	}
	if m.groups["file"] == 0 {
		return nil, wrong("no group for file: name one (?P<file>…), or say which number it has")
	}
	return m, nil
}

// assign finds the group of a field.
func (m *Matcher) assign(field, group, other string) error {
	if group == "" {
		for _, name := range []string{field, other} {
			if i := m.pattern.SubexpIndex(name); name != "" && i > 0 {
				m.groups[field] = i
			}
		}
		return nil
	}
	n, err := strconv.Atoi(group)
	if err != nil {
		n = m.pattern.SubexpIndex(group)
		if n < 0 {
			return wrong("%s: pattern has no group named %q", field, group)
		}
	}
	if n < 1 || n > m.pattern.NumSubexp() {
		return wrong("%s: group %d, but pattern has groups 1 to %d", field, n, m.pattern.NumSubexp())
	}
	m.groups[field] = n
	return nil
}

func wrong(format string, args ...any) error {
	return fmt.Errorf("problem matcher: %s: %w", fmt.Sprintf(format, args...), runtime.Invalid)
}

// match returns what the line says. A severity that is no word for an error
// or a warning is a note, and skipped.
func (m *Matcher) match(p *Parser, line string) (runtime.Diagnostic, bool) {
	found := m.pattern.FindStringSubmatch(line)
	if found == nil {
		return runtime.Diagnostic{}, false
	}
	group := func(field string) string {
		if i := m.groups[field]; i > 0 {
			return found[i]
		}
		return ""
	}
	severity, ok := severityOf(group("severity"), m.severity)
	text := group("message")
	if text == "" {
		text = line
	}
	return runtime.Diagnostic{
		File: p.path(group("file")), Line: number(group("line")), Column: number(group("column")),
		EndLine: number(group("endline")), EndColumn: number(group("endcolumn")),
		Severity: severity, Code: group("code"), Text: text, Tool: m.tool,
	}, ok && group("file") != ""
}
