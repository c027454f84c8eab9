package manifest

import (
	"strconv"
	"strings"
	"unicode"
)

// A setting is one variable of an env file.
type setting struct {
	name, value string
	line        int  // where it begins
	passed      bool // a name alone: the value is the caller's
}

// envText reads the lines of an env file. There is no standard for these;
// this is what Compose reads, and so takes what its kin write:
//
//	# a comment                 export NAME=value
//	NAME=value # a comment      NAME: value
//	NAME='as it is'             NAME="escapes \n \" \\ \$, ${VAR}, $VAR"
//	NAME=                       NAME
//
// Quoted values may go on over several lines. Lines end by LF or CRLF. What is
// not in single quotes is interpolated as a manifest is. (compose-go's dotenv
// does nearly the same, and a test compares the two; but it knows no lines,
// shows secrets in its errors, and takes text behind a closing quote for the
// next line.)
type envText struct {
	text   string // what is not read yet
	line   int    // at which it begins
	lookup func(string) (string, bool)
	unset  func(line int, name string) // told of each variable that is not set
}

// An envError says what is wrong in which line, and never shows it: such
// files hold secrets.
type envError struct {
	line       int
	text, hint string
}

func (e *envError) Error() string { return e.text }

// next returns the next setting; ok is false at the end.
func (e *envText) next() (one setting, ok bool, err error) {
	e.skip()
	if e.text == "" {
		return one, false, nil
	}
	one.line = e.line
	if one.name, err = e.name(); err != nil {
		return one, false, err
	}
	switch {
	case e.text == "" || e.text[0] == '\n':
		one.passed = true
	case e.text[0] != '=' && e.text[0] != ':':
		return one, false, e.wrong(one.line, "not a line of NAME=value", "name variables by letters, digits and _, and put = behind")
	default:
		e.text = e.text[1:]
		one.value, err = e.value()
	}
	return one, err == nil, err
}

// skip passes empty lines and comments.
func (e *envText) skip() {
	for e.text != "" {
		switch c := e.text[0]; {
		case c == '\n':
			e.line++
			e.text = e.text[1:]
		case blank(c):
			e.text = e.text[1:]
		case c == '#':
			_ = e.rest()
		default:
			return
		}
	}
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r' }

func (e *envText) spaces() {
	for e.text != "" && blank(e.text[0]) {
		e.text = e.text[1:]
	}
}

// rest takes what is left of the line.
func (e *envText) rest() string {
	line, _, _ := strings.Cut(e.text, "\n")
	e.text = e.text[len(line):]
	return line
}

func (e *envText) name() (string, error) {
	if after, ok := strings.CutPrefix(e.text, "export"); ok && after != "" && blank(after[0]) {
		e.text = after
		e.spaces()
	}
	end := strings.IndexFunc(e.text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !strings.ContainsRune("_.-[]", r)
	})
	if end < 0 {
		end = len(e.text)
	}
	name := e.text[:end]
	if name == "" {
		return "", e.wrong(e.line, "not a line of NAME=value", "name variables by letters, digits and _")
	}
	e.text = e.text[end:]
	e.spaces()
	return name, nil
}

// value reads what is behind the =.
func (e *envText) value() (string, error) {
	line := e.line
	before := e.text
	e.spaces()
	if e.text != "" && (e.text[0] == '\'' || e.text[0] == '"') {
		return e.quoted()
	}
	text := e.rest()
	if before != text && strings.HasPrefix(text, "#") && blank(before[0]) {
		return "", nil // an empty value, and a comment
	}
	for i := 1; i < len(text); i++ {
		if text[i] == '#' && blank(text[i-1]) {
			text = text[:i]
			break
		}
	}
	return e.expand(line, strings.TrimRightFunc(text, unicode.IsSpace))
}

func (e *envText) quoted() (string, error) {
	line, quote := e.line, e.text[0]
	end := 1
	for ; end < len(e.text) && e.text[end] != quote; end++ {
		if e.text[end] == '\\' && end+1 < len(e.text) {
			end++
		}
		if e.text[end] == '\n' {
			e.line++
		}
	}
	if end >= len(e.text) {
		return "", e.wrong(line, "a quote that is not closed", "close it, also where the value goes on over several lines")
	}
	inner := e.text[1:end]
	e.text = e.text[end+1:]
	e.spaces()
	if e.text != "" && e.text[0] != '\n' && e.text[0] != '#' {
		return "", e.wrong(e.line, "text behind a closing quote", "put all of the value into the quotes, and a # before a comment")
	}
	_ = e.rest()
	if quote == '\'' {
		return strings.ReplaceAll(inner, `\'`, `'`), nil
	}
	return e.expand(line, unescapeEnv(inner))
}

// unescapeEnv replaces what a backslash begins, as Compose does; $ is doubled,
// as expand follows.
func unescapeEnv(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case '$':
			out.WriteString("$$")
		case '"', '\\':
			out.WriteByte(c)
		case '0':
			n := i + 1
			for n < len(s) && n < i+4 && s[n] >= '0' && s[n] <= '7' {
				n++
			}
			if code, err := strconv.ParseUint(s[i+1:n], 8, 8); err == nil && n == i+4 {
				out.WriteRune(rune(code))
				i = n - 1
			} else {
				out.WriteString(`\0`)
			}
		default:
			if at := strings.IndexByte("abfnrtv", c); at >= 0 {
				out.WriteByte("\a\b\f\n\r\t\v"[at])
			} else {
				out.WriteByte('\\')
				out.WriteByte(c)
			}
		}
	}
	return out.String()
}

func (e *envText) expand(line int, text string) (string, error) {
	x := expansion{lookup: e.lookup}
	out, err := x.expand(text)
	for _, name := range x.unset {
		e.unset(line, name)
	}
	if err != nil {
		why := "a ${ that is not understood" // its text could be a password with a $ in it
		if x.required {
			why = err.Error()
		}
		return "", e.wrong(line, why, "write $$ for a dollar sign, or put the value in single quotes")
	}
	return out, nil
}

func (e *envText) wrong(line int, text, hint string) error { return &envError{line, text, hint} }

// readEnv returns what the text of an env file sets; of two settings of one
// name the last holds. With an error it returns those before it.
func readEnv(text string, lookup func(string) (string, bool), unset func(line int, name string)) (map[string]setting, error) {
	out := map[string]setting{}
	e := &envText{text: strings.ReplaceAll(text, "\r\n", "\n"), line: 1, unset: unset}
	e.lookup = func(name string) (string, bool) {
		if value, ok := lookup(name); ok {
			return value, true
		}
		one, ok := out[name]
		return one.value, ok
	}
	for {
		one, ok, err := e.next()
		if err != nil {
			return out, err
		}
		if !ok {
			return out, nil
		}
		if strings.ContainsRune(one.value, 0) {
			return out, e.wrong(one.line, "a NUL character", "write text only")
		}
		if one.passed {
			if one.value, ok = lookup(one.name); !ok {
				continue
			}
		}
		out[one.name] = one
	}
}
