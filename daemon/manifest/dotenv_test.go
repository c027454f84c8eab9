package manifest

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/google/go-cmp/cmp"
)

// TestEnvDialects reads what the tools that developers come from write: the
// table is section by section what their documentation shows.
func TestEnvDialects(t *testing.T) {
	caller := map[string]string{"HOME": "/home/me", "CALLER": "caller"}
	for _, c := range []struct {
		name, text string
		want       map[string]string
		ours       bool // compose-go reads it in another way; the comment says why ours is right
	}{
		{name: "plain", text: "A=1\nB=two words\n  C  =  3  \n", want: map[string]string{"A": "1", "B": "two words", "C": "3"}},
		{name: "no newline at the end", text: "A=1", want: map[string]string{"A": "1"}},
		{name: "export", text: "export A=1\nexport\tB=2\nexported=3\n", want: map[string]string{"A": "1", "B": "2", "exported": "3"}},
		{name: "comments", text: "# A=1\n\n  # B=2\nC=3 # three\nD=4#four\nE=\"5\" # five\nF='6 # six'\nG=a # b # c\n",
			want: map[string]string{"C": "3", "D": "4#four", "E": "5", "F": "6 # six", "G": "a"}},
		{name: "literal", text: `A='$HOME \n "x" ${HOME}'` + "\n", want: map[string]string{"A": `$HOME \n "x" ${HOME}`}},
		{name: "escapes", text: `A="a\nb\t\"c\" \\ \$HOME \d \0101 \\n"` + "\n", want: map[string]string{"A": "a\nb\t\"c\" \\ $HOME \\d A \\n"}},
		{name: "escapes are plain without quotes", text: `A=a\nb\t` + "\n", want: map[string]string{"A": `a\nb\t`}},
		{name: "variables", text: "A=$HOME/x\nB=\"${HOME}/${A}\"\nC=${NONE:-d}\nD=$$HOME\nE=5$\nCALLER=file\nF=$CALLER\n",
			want: map[string]string{"A": "/home/me/x", "B": "/home/me//home/me/x", "C": "d", "D": "$HOME", "E": "5$", "CALLER": "file", "F": "caller"}},
		{name: "many lines", text: "A=\"one\ntwo\n\"\nB='-----BEGIN\n  KEY\n'\nC=3\n", want: map[string]string{"A": "one\ntwo\n", "B": "-----BEGIN\n  KEY\n", "C": "3"}},
		{name: "CRLF", text: "A=1\r\nB=\"2\"\r\n\r\n# c\r\nC='3'\r\nD=\"4\r\n5\"\r\nE=\r\n", want: map[string]string{"A": "1", "B": "2", "C": "3", "D": "4\n5", "E": ""}, ours: true}, // CR stays within quotes there
		{name: "empty", text: "A=\nB=''\nC=\"\"\nD= \nE=x\n", want: map[string]string{"A": "", "B": "", "C": "", "D": "", "E": "x"}},
		{name: "empty with a comment", text: "A= # none\nB=1\n", want: map[string]string{"A": "", "B": "1"}, ours: true}, // the comment is the value there
		{name: "twice", text: "A=1\nA=2\n", want: map[string]string{"A": "2"}},
		{name: "yaml style", text: "A: 1\nB: 'two'\n", want: map[string]string{"A": "1", "B": "two"}},
		{name: "passed on", text: "HOME\nNONE\nexport CALLER\nA=1", want: map[string]string{"HOME": "/home/me", "CALLER": "caller", "A": "1"}},
		{name: "odd names", text: "a.b-c=1\nÜ=2\nA[0]=3\n", want: map[string]string{"a.b-c": "1", "Ü": "2", "A[0]": "3"}},
		{name: "urls and equals", text: "DSN=postgres://me:pw@db:5432/x?a=b&c=d#frag\nB64=abc==\n",
			want: map[string]string{"DSN": "postgres://me:pw@db:5432/x?a=b&c=d#frag", "B64": "abc=="}},
		{name: "an apostrophe", text: "A=it's\nB='it\\'s'\n", want: map[string]string{"A": "it's", "B": "it's"}},
		{name: "json", text: `A={"a": "b"}` + "\n", want: map[string]string{"A": `{"a": "b"}`}},
		{name: "nothing", text: "", want: map[string]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lookup := func(name string) (string, bool) { v, ok := caller[name]; return v, ok }
			settings, err := readEnv(c.text, lookup, func(int, string) {})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for name, one := range settings {
				got[name] = one.value
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			compose, err := dotenv.UnmarshalWithLookup(c.text, lookup)
			if same := err == nil && maps.Equal(compose, got); same == c.ours {
				t.Errorf("compose: %q, %v", compose, err)
			}
		})
	}
}

func TestEnvLines(t *testing.T) {
	settings, err := readEnv("# first\nA=\"1\n2\"\nB=3\n\nA=4\r\nC=5", func(string) (string, bool) { return "", false }, nil)
	got := map[string]int{}
	for name, one := range settings {
		got[name] = one.line
	}
	if diff := cmp.Diff(map[string]int{"A": 6, "B": 4, "C": 7}, got); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}

// TestEnvErrors: each names its line and never shows it.
func TestEnvErrors(t *testing.T) {
	for text, line := range map[string]int{
		"A=1\nB='hidden\nmore":    2,
		"A=1\n\n=hidden":          3,
		"hidden hidden":           1,
		"A=\"x\nhidden\" hidden":  2,
		"A=\"x\n\"\nB=${hidden":   3,
		"A=${hidden!}":            1,
		"A=1\n\x00=hidden":        2,
		"A='hidden\x00'":          1,
		"$hidden=1":               1,
		"A=\"hidden\\":            1,
		"A=1\nB=\"${hidden-\n}\n": 2,
	} {
		_, err := readEnv(text, func(string) (string, bool) { return "", false }, func(int, string) {})
		wrong, ok := errors.AsType[*envError](err)
		if !ok || wrong.line != line || wrong.hint == "" || strings.Contains(wrong.text+wrong.hint, "hidden") {
			t.Errorf("%q: %+v", text, err)
		}
	}
}

func FuzzEnv(f *testing.F) {
	for _, text := range []string{"A=1\nexport B='2'\r\nC=\"$A \\n\"\n# x", "A: b #c\nD", "A=\"\\01234\\", "A=${B:-${C}}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		settings, err := readEnv(text, func(string) (string, bool) { return "", false }, func(int, string) {})
		lines := strings.Count(text, "\n") + 1
		for name, one := range settings {
			if name == "" || one.line < 1 || one.line > lines {
				t.Errorf("%+v in %d lines", one, lines)
			}
		}
		if wrong, ok := errors.AsType[*envError](err); err != nil && (!ok || wrong.line < 1 || wrong.line > lines) {
			t.Errorf("%+v in %d lines", err, lines)
		}
	})
}
