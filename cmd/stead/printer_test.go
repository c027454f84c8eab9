package main

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stead-dev/stead/ipc"
)

// lineAt is a line of web that was received at 03:04:05 UTC.
func lineAt(stream, text string) ipc.Line {
	return ipc.Line{Project: "shop", Service: "web", Instance: "1/0/1", Stream: stream,
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Text: []byte(text)}
}

func printed(p *printer, lines ...ipc.Line) string {
	var b bytes.Buffer
	out := bufio.NewWriter(&b)
	for _, line := range lines {
		p.print(out, line)
	}
	_ = out.Flush() // a buffer never fails
	if p.last != nil {
		b.WriteString(strings.Join(p.last.lines(), ""))
	}
	return b.String()
}

// What services write is shown in five ways; ^ is an escape here.
func TestPrintedLines(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Local().Format("15:04:05.000")
	ways := map[string]*printer{
		"colour": {bare: true, pretty: true, paint: true},
		"plain":  {bare: true, pretty: true},
		"pipe":   {bare: true},
		"raw":    {bare: true, raw: true},
		"json":   {json: true},
	}
	cases := []struct {
		name, stream, text string
		want               map[string]string
	}{
		{"a plain line", "stdout", "a\tb", map[string]string{"colour": "a\tb", "plain": "a\tb", "pipe": "a\tb", "raw": "a\tb", "json": `"text":"a\tb"}`}},
		{"colours, and a cursor that moves", "stdout", "^[1;31mred^[0m ^[2K^[1Aup^]0;title\aend", map[string]string{
			"colour": "^[1;31mred^[0m upend^[0m", "plain": "red upend", "pipe": "red upend", "raw": "^[1;31mred^[0m ^[2K^[1Aup^]0;title\aend", "json": `"text":"red upend"}`}},
		{"escapes without an end", "stdout", "a^[31", map[string]string{"colour": "a31", "pipe": "a31", "raw": "a^[31", "json": `"text":"a31"}`}},
		{"a progress bar", "stdout", "10 %\r50 %\r100 %\r", map[string]string{"colour": "100 %", "plain": "100 %", "pipe": "10 %\r50 %\r100 %\r", "json": `"text":"10 %\r50 %\r100 %\r"}`}},
		{"no UTF-8", "stdout", "a\xff\xfeb", map[string]string{"colour": "a��b", "pipe": "a\xff\xfeb", "raw": "a\xff\xfeb", "json": `"text":"a�b"}`}},
		{"binary", "stdout", "\x00\x01\a\x7f\u009b1A", map[string]string{"colour": `\x00\x01\x07\x7f\x9b1A`, "pipe": "\x00\x01\a\x7f\u009b1A", "json": `"text":"\u0000\u0001\u0007` + "\x7f\u009b" + `1A"}`}},
		{"json", "stderr", `{"level":"warn","msg":"slow \u001b[2J one","took":1.50,"path":"/a b","nested":{"a":[1]},"empty":""}`, map[string]string{
			"colour": "^[2m" + at + "^[0m ^[33mWARN ^[0m slow  one ^[2mtook=^[0m1.50 ^[2mpath=^[0m\"/a b\" ^[2mnested=^[0m{\"a\":[1]} ^[2mempty=^[0m\"\"",
			"plain":  at + ` WARN  slow  one took=1.50 path="/a b" nested={"a":[1]} empty=""`,
			"pipe":   `{"level":"warn","msg":"slow \u001b[2J one","took":1.50,"path":"/a b","nested":{"a":[1]},"empty":""}`,
			"json":   `"level":"warn","message":"slow \u001b[2J one","fields":{"took":1.50,"path":"/a b","nested":{"a":[1]},"empty":""}}`}},
		{"logfmt with its own time, coloured", "stderr", "^[2mtime=2026-01-02T03:04:05Z^[0m level=ERROR msg=\"a\nb\"", map[string]string{"pipe": "time=2026-01-02T03:04:05Z level=ERROR msg=\"a\nb\""}},
		{"logfmt", "stderr", "^[2mtime=2026-01-02T03:04:05Z^[0m level=ERROR msg=\"a\\nb\" n=1 n=2", map[string]string{
			"plain": at + " ERROR a\n    b n=1 n=2", "json": `"level":"error","logged_at":"2026-01-02T03:04:05Z","message":"a\nb","fields":{"n":"1"}}`}},
		{"by stead", "stead", "exit code 1", map[string]string{"colour": "^[2m[stead] exit code 1^[0m", "pipe": "[stead] exit code 1", "raw": "[stead] exit code 1", "json": `"stream":"stead","text":"exit code 1"}`}},
	}
	for _, c := range cases {
		for way, want := range c.want {
			got := printed(ways[way], lineAt(c.stream, strings.ReplaceAll(c.text, "^", "\x1b")))
			got = strings.TrimSuffix(strings.ReplaceAll(got, "\x1b", "^"), "\n")
			if way == "json" {
				got = got[max(0, len(got)-len(want)):]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s:\n%s", c.name, way, diff)
			}
		}
	}
}

func TestLevelFilter(t *testing.T) {
	lines := []ipc.Line{
		lineAt("stdout", "no level at all"),
		lineAt("stdout", "2026/01/02 ERROR broken"),
		lineAt("stdout", "    at line 1"),
		lineAt("stderr", "    of another stream"),
		lineAt("stdout", `{"level":"info","msg":"fine"}`),
		lineAt("stdout", "\tindented again"),
		lineAt("stdout", "\x1b[33mWARN\x1b[0m careful"),
		lineAt("stead", "exit code 1; ERROR"),
		{Project: "shop", Service: "web", Gap: 7},
		lineAt("stdout", "level=fatal msg=gone"),
	}
	for level, want := range map[ipc.Level]string{
		ipc.LevelError: "2026/01/02 ERROR broken\n    at line 1\n[stead] 7 bytes are missing here\nlevel=fatal msg=gone\n",
		ipc.LevelWarn:  "2026/01/02 ERROR broken\n    at line 1\nWARN careful\n[stead] 7 bytes are missing here\nlevel=fatal msg=gone\n",
	} {
		if diff := cmp.Diff(want, printed(&printer{bare: true, levels: &levelFilter{least: level}}, lines...)); diff != "" {
			t.Errorf("%v:\n%s", level, diff)
		}
	}
	if got := printed(&printer{bare: true, levels: &levelFilter{least: ipc.LevelInfo}}, lines...); strings.Count(got, "\n") != len(lines) {
		t.Errorf("info: %q", got)
	}
}

func TestLastLinesOfALevel(t *testing.T) {
	var lines []ipc.Line
	for i := range 20 {
		one := lineAt("stdout", fmt.Sprintf("ERROR %d", i))
		if i%2 == 0 {
			one.Service = "db"
		}
		lines = append(lines, one, lineAt("stdout", "INFO fine"))
	}
	p := &printer{bare: true, levels: &levelFilter{least: ipc.LevelError}, last: &lastOnes{want: 2}}
	if got := printed(p, lines...); got != "ERROR 16\nERROR 17\nERROR 18\nERROR 19\n" {
		t.Errorf("got %q", got)
	}
}

func FuzzForTerminal(f *testing.F) {
	f.Add([]byte("\x1b[31mred\x1b]0;t\x1b\\ \x1b(B\x9b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		shown := forTerminal(text, false)
		if strings.ContainsFunc(shown, func(r rune) bool { return r < 0x20 && r != '\t' || r >= 0x7f && r < 0xa0 }) {
			t.Errorf("%q is shown as %q", text, shown)
		}
		if bytes.IndexByte(withoutANSI(text), escape) >= 0 {
			t.Errorf("%q has escapes left", text)
		}
	})
}
