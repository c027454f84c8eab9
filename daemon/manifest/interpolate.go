package manifest

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// interpolate returns the text of a scalar with its variables replaced, by
// the rules of the Compose specification: $VAR, ${VAR}, ${VAR:-default},
// ${VAR-default}, ${VAR:?message}, ${VAR?message}, ${VAR:+other},
// ${VAR+other}; defaults may contain variables; $$ is a dollar sign, and so is
// one that no name follows. A variable that is not set is empty, and warned
// of. (compose-go's template package does the same, and a test compares the
// two; but it knows no positions and writes its warnings to a global logger.)
func (d *document) interpolate(n *yaml.Node) (string, bool) {
	if !strings.Contains(n.Value, "$") {
		return n.Value, true
	}
	x := expansion{lookup: d.part(n.Line).scope.lookup}
	text, err := x.expand(n.Value)
	for _, name := range x.unset {
		d.atVariable(n, name, runtime.Diagnostic{
			Severity: runtime.SeverityWarning,
			Text:     fmt.Sprintf("variable %q is not set, and taken as empty", name),
			Hint:     unsetHint(name),
		})
	}
	if err != nil {
		d.atVariable(n, x.name, runtime.Diagnostic{Severity: runtime.SeverityError, Text: err.Error(), Hint: x.hint})
	}
	return text, err == nil
}

func unsetHint(name string) string {
	if name == "PORT" || strings.HasPrefix(name, "PORT_") || strings.HasPrefix(name, "STEAD_") {
		return "stead sets it when the service starts: write $$" + name + " and, in a command, shell: true"
	}
	return "write ${" + name + ":-default}, or $$" + name + " for a dollar sign"
}

// atVariable notes a finding where the scalar names the variable.
func (d *document) atVariable(n *yaml.Node, name string, one runtime.Diagnostic) {
	line, column := n.Line, n.Column
	start := d.lines[line-1] + len(d.line(line)) - len(d.rest(line, column))
	text := d.source[start:min(len(d.source), start+2*len(n.Value)+2)] // escapes and indents make the source longer
	for _, form := range []string{"${" + name, "$" + name} {
		if i := strings.Index(text, form); i >= 0 {
			before := text[:i]
			if newlines := strings.Count(before, "\n"); newlines > 0 {
				line, column = line+newlines, 1
				before = before[strings.LastIndexByte(before, '\n')+1:]
			}
			column += len([]rune(before))
			break
		}
	}
	d.add(one, line, column)
}

// An expansion replaces variables in one text.
type expansion struct {
	lookup func(string) (string, bool)
	unset  []string // variables that were not set and had no default
	name   string   // of the variable at fault, when expand fails
	hint   string
	depth  int
	// required tells a variable that ${VAR:?…} wants from what is not understood.
	required bool
}

// maxNesting bounds ${A:-${B:-…}}: real ones have two or three.
const maxNesting = 20

func (x *expansion) expand(s string) (string, error) {
	if x.depth++; x.depth > maxNesting {
		return "", fmt.Errorf("variables are nested more than %d deep", maxNesting)
	}
	defer func() { x.depth-- }()
	var out strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 == len(s) {
			return out.String() + s, nil
		}
		out.WriteString(s[:i])
		s = s[i+1:]
		switch {
		case s[0] == '$':
			out.WriteByte('$')
			s = s[1:]
		case s[0] == '{':
			end := closing(s)
			if end < 0 {
				x.name, x.hint = "", "close it with }, or write $${ for the characters themselves"
				return "", errors.New("${ is not closed")
			}
			value, err := x.braced(s[1:end])
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			s = s[end+1:]
		default:
			name := s[:nameLength(s)]
			if name == "" {
				out.WriteByte('$')
				continue
			}
			out.WriteString(x.plain(name))
			s = s[len(name):]
		}
	}
}

func (x *expansion) plain(name string) string {
	value, ok := x.lookup(name)
	if !ok {
		x.unset = append(x.unset, name)
	}
	return value
}

// braced is the value of what stands between { and }.
func (x *expansion) braced(s string) (string, error) {
	name := s[:nameLength(s)]
	rest := s[len(name):]
	if name == "" {
		x.name, x.hint = s, "write ${VAR}, or $${ for the characters themselves"
		return "", fmt.Errorf("${%s} names no variable", s)
	}
	if rest == "" {
		return x.plain(name), nil
	}
	value, set := x.lookup(name)
	operator := rest
	if word, ok := strings.CutPrefix(rest, ":"); ok {
		operator, set = word, set && value != "" // with the colon, empty is as good as not set
	}
	if operator == "" || !strings.Contains("-?+", operator[:1]) {
		x.name, x.hint = name, "what may follow the name is :- :? :+ - ? +"
		return "", fmt.Errorf("${%s} is not understood", s)
	}
	word := operator[1:]
	switch {
	case operator[0] == '+' && !set:
		return "", nil
	case operator[0] != '+' && set:
		return value, nil
	}
	text, err := x.expand(word)
	if err != nil || operator[0] != '?' {
		return text, err
	}
	x.required = true
	x.name, x.hint = name, "set it in the environment of stead up, or in .env beside the manifest"
	if text == "" {
		text = "it is required"
	}
	return "", fmt.Errorf("variable %q is not set: %s", name, text)
}

// closing is the index of the } that belongs to the { at s[0], or -1.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}
