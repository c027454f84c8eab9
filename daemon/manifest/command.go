package manifest

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
	"mvdan.cc/sh/v3/syntax"
)

// readCommand fills in what the service executes: a list as it is; a string
// split by the shell's rules of quoting, but without a shell in between, whose
// pid and signals would not be the service's; with shell: true by sh -c.
func (s *draft) readCommand() {
	var shell bool
	if f, ok := s.keys["shell"]; ok {
		shell = s.boolean(f)
	}
	f, ok := s.keys["command"]
	if !ok {
		s.noCommand()
		return
	}
	if shell {
		if f.value.Kind == yaml.SequenceNode {
			s.wrong(f.value, "write the command as one text, or leave shell out", "shell: true needs a text, not a list")
			return
		}
		if text, ok := s.value(f.value, "command"); ok {
			s.spec.Command = []string{"sh", "-c", text}
		}
		return
	}
	s.spec.Command, _ = s.argv(f.value, "command", "add shell: true to the service")
}

func (s *draft) noCommand() {
	f, ok := s.keys["image"]
	if ok && s.target != nil && f.value.Kind == yaml.ScalarNode {
		return // the image's own
	}
	if ok && f.value.Kind == yaml.ScalarNode {
		s.wrong(f.key, "add a command that runs it on this machine", "an image alone cannot run here: services are processes, not containers")
		return
	}
	s.wrong(s.at, "write command: and what to run", "service %q has no command", s.name)
}

// argv returns a command from a list, or from a text that needs no shell.
func (s *draft) argv(n *yaml.Node, what, hint string) ([]string, bool) {
	if n.Kind == yaml.SequenceNode {
		return s.argvList(n, what)
	}
	text, ok := s.value(n, what)
	if !ok {
		return nil, false
	}
	argv, err := s.split(text)
	var shell *needsShell
	switch {
	case errors.As(err, &shell):
		s.wrongWithin(n, shell.offset, hint, "%s needs a shell: %s", what, shell.why)
		return nil, false
	case err != nil:
		s.wrong(n, "", "%s cannot be split into words: %s", what, err)
		return nil, false
	case len(argv) == 0 || argv[0] == "":
		s.wrong(n, "", "%s is empty", what)
		return nil, false
	}
	return argv, true
}

func (s *draft) argvList(n *yaml.Node, what string) ([]string, bool) {
	var argv []string
	for _, one := range s.items(n) {
		word, ok := s.text(one, "a word of "+what) // an empty argument is one
		if !ok {
			return nil, false
		}
		argv = append(argv, word)
	}
	if len(argv) == 0 || argv[0] == "" {
		s.wrong(n, "", "%s is empty", what)
		return nil, false
	}
	return argv, true
}

// wrongWithin notes an error at an offset of a scalar's text, as far as that
// stands in the file as it is.
func (d *document) wrongWithin(n *yaml.Node, offset int, hint, format string, args ...any) {
	at := *n
	source := d.rest(n.Line, n.Column)
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		source, at.Column = source[min(1, len(source)):], at.Column+1
	}
	if offset > len(n.Value) || !strings.HasPrefix(source, n.Value[:min(offset, len(n.Value))]) {
		at, offset = *n, 0
	}
	at.Column += len([]rune(n.Value[:offset]))
	d.wrong(&at, hint, format, args...)
}

// needsShell says what in a text only a shell can do.
type needsShell struct {
	offset int
	why    string
}

func (e *needsShell) Error() string { return e.why }

// split cuts a text into words as sh would, and refuses with needsShell what
// is more than words.
func (d *document) split(text string) ([]string, error) {
	if words, ok := plainWords(text); ok {
		return words, nil
	}
	file, err := d.shell.Parse(strings.NewReader(text), "")
	if parse, ok := errors.AsType[syntax.ParseError](err); ok {
		return nil, errors.New(parse.Text)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case len(file.Stmts) == 0:
		return nil, nil
	case len(file.Stmts) > 1:
		return nil, shellFor(file.Stmts[1], "it is more than one command")
	}
	stmt := file.Stmts[0]
	call, simple := stmt.Cmd.(*syntax.CallExpr)
	switch {
	case len(stmt.Redirs) > 0:
		return nil, shellFor(stmt.Redirs[0], "it redirects")
	case stmt.Background:
		return nil, shellFor(stmt, "it runs in the background by &")
	case !simple || stmt.Negated:
		return nil, shellFor(stmt, "it is more than one command")
	case len(call.Assigns) > 0:
		return nil, shellFor(call, "it sets a variable (environment: does so without a shell)")
	}
	argv := make([]string, len(call.Args))
	for i, word := range call.Args {
		if argv[i], err = literal(word.Parts, false); err != nil {
			return nil, err
		}
	}
	return argv, nil
}

// plainWords splits a text in which a shell would find nothing but words, as
// nearly all commands are: a tenth of the parser's work.
func plainWords(text string) ([]string, bool) {
	for i := range len(text) {
		c := text[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte(" \t_-./:=@%+,", c) < 0 {
			return nil, false
		}
	}
	words := strings.Fields(text)
	if len(words) == 0 || strings.Contains(words[0], "=") || reserved[words[0]] {
		return nil, false
	}
	return words, true
}

// reserved are the words of POSIX's shell (2.4) that are letters only.
var reserved = map[string]bool{
	"if": true, "then": true, "else": true, "elif": true, "fi": true, "do": true, "done": true, "case": true,
	"esac": true, "while": true, "until": true, "for": true, "in": true,
}

func shellFor(n syntax.Node, why string) error {
	return &needsShell{int(n.Pos().Offset()), why}
}

// literal is the text of a word in which nothing is to be replaced.
func literal(parts []syntax.WordPart, quoted bool) (string, error) {
	var out strings.Builder
	for i, part := range parts {
		switch p := part.(type) {
		case *syntax.Lit:
			if !quoted && i == 0 && strings.HasPrefix(p.Value, "~") {
				return "", shellFor(p, "~ is a home directory only to a shell")
			}
			text, glob := unescape(p.Value, quoted)
			if glob {
				return "", shellFor(p, fmt.Sprintf("%s is a pattern for file names (put it in quotes if it is not)", p.Value))
			}
			out.WriteString(text)
		case *syntax.SglQuoted:
			out.WriteString(p.Value)
		case *syntax.DblQuoted:
			text, err := literal(p.Parts, true)
			if err != nil {
				return "", err
			}
			out.WriteString(text)
		case *syntax.ParamExp:
			return "", shellFor(p, "it uses a variable of the shell")
		default:
			return "", shellFor(p, "it runs another command, or computes, inside of it")
		}
	}
	return out.String(), nil
}

// unescape removes backslashes as sh does, and tells whether an unquoted
// character of a pattern is left.
func unescape(s string, quoted bool) (text string, glob bool) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s) && (!quoted || strings.IndexByte("$`\"\\\n", s[i+1]) >= 0):
			i++
			if s[i] == '\n' { // a line that goes on
				continue
			}
			c = s[i]
		case !quoted && (c == '*' || c == '?' || c == '[' && strings.Contains(s[i:], "]")):
			glob = true
		}
		out.WriteByte(c)
	}
	return out.String(), glob
}
