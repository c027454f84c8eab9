package ipc

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func blk(service, instance, stream, data string) *steadpb.LogBlock {
	return &steadpb.LogBlock{Project: "p", Service: service, Instance: instance, Stream: stream, Data: []byte(data)}
}

func cut(blocks ...*steadpb.LogBlock) []string {
	var got []string
	l := NewLines(func(line Line) {
		if line.Gap > 0 {
			got = append(got, fmt.Sprintf("%s gap %d", line.Service, line.Gap))
			return
		}
		got = append(got, fmt.Sprintf("%s %s %s|%s", line.Service, line.Instance, line.Stream, line.Text))
	})
	for _, b := range blocks {
		l.Add(b)
	}
	l.Flush()
	return got
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	gap := blk("a", "1/0/1", "out", "z\n")
	gap.Gap = 9
	cases := []struct {
		name   string
		blocks []*steadpb.LogBlock
		want   []string
	}{
		{"nothing", nil, nil},
		{"several in one", []*steadpb.LogBlock{blk("a", "1/0/1", "out", "x\n\ny\n")}, []string{"a 1/0/1 out|x", "a 1/0/1 out|", "a 1/0/1 out|y"}},
		{"joined", []*steadpb.LogBlock{blk("a", "1/0/1", "out", "he"), blk("a", "1/0/1", "out", "l"), blk("a", "1/0/1", "out", "lo\nx")},
			[]string{"a 1/0/1 out|hello", "a 1/0/1 out|x"}},
		{"streams and services apart", []*steadpb.LogBlock{blk("a", "1/0/1", "out", "1"), blk("a", "1/0/1", "err", "2"), blk("b", "1/0/1", "out", "3"),
			blk("a", "1/1/1", "out", "4\n"), blk("a", "1/0/1", "out", "1\n")},
			[]string{"a 1/1/1 out|4", "a 1/0/1 out|11", "a 1/0/1 err|2", "b 1/0/1 out|3"}},
		{"cr lf", []*steadpb.LogBlock{blk("a", "1/0/1", "t", "x\r\ny\r"), blk("a", "1/0/1", "t", "\na\rb\n")},
			[]string{"a 1/0/1 t|x", "a 1/0/1 t|y", "a 1/0/1 t|a\rb"}},
		{"a new attempt ends the old one's line", []*steadpb.LogBlock{blk("a", "1/0/1", "out", "dying"), blk("a", "1/0/2", "out", "born\n")},
			[]string{"a 1/0/1 out|dying", "a 1/0/2 out|born"}},
		{"a gap ends lines of its service", []*steadpb.LogBlock{blk("a", "1/0/1", "out", "x"), blk("a", "1/0/1", "err", "y"), blk("b", "1/0/1", "out", "b"), gap},
			[]string{"a 1/0/1 out|x", "a 1/0/1 err|y", "a gap 9", "a 1/0/1 out|z", "b 1/0/1 out|b"}},
		{"a gap alone", []*steadpb.LogBlock{{Project: "p", Service: "a", Gap: 3}}, []string{"a gap 3"}},
		{"longest", []*steadpb.LogBlock{blk("a", "1/0/1", "out", long+"\n")}, []string{"a 1/0/1 out|" + long}},
		{"too long", []*steadpb.LogBlock{blk("a", "1/0/1", "out", long+"y\n")}, []string{"a 1/0/1 out|" + long, "a 1/0/1 out|y"}},
		{"longest, its end in the next block", []*steadpb.LogBlock{blk("a", "1/0/1", "out", long), blk("a", "1/0/1", "out", "\r\nz\n")},
			[]string{"a 1/0/1 out|" + long, "a 1/0/1 out|z"}},
	}
	for _, c := range cases {
		if got := cut(c.blocks...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %.300q\nwant %.300q", c.name, got, c.want)
		}
	}
}

func TestLinesForgetsUnfinishedOnes(t *testing.T) {
	n := 0
	l := NewLines(func(Line) { n++ })
	for i := range 3 * maxParts {
		l.Add(blk(fmt.Sprint("s", i), "1/0/1", "out", "never ends"))
	}
	if len(l.parts) > maxParts || n != 2*maxParts {
		t.Errorf("%d remembered, %d handed over", len(l.parts), n)
	}
}

// FuzzLines cuts any text at any places: what comes out is the same lines.
func FuzzLines(f *testing.F) {
	f.Add("a\nbb\r\n\nc", []byte{1, 3})
	f.Add("\r\r\n", []byte{1, 1})
	f.Fuzz(func(t *testing.T, text string, cuts []byte) {
		if !utf8.ValidString(text) || len(text) >= MaxLine {
			t.Skip()
		}
		var want []string
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			want = append(want, strings.TrimSuffix(line, "\r"))
		}
		var got []string
		l := NewLines(func(line Line) { got = append(got, string(bytes.Clone(line.Text))) })
		for rest := text; rest != ""; {
			n := len(rest)
			if len(cuts) > 0 {
				n, cuts = min(n, int(cuts[0])), cuts[1:]
			}
			l.Add(blk("a", "1/0/1", "out", rest[:n]))
			rest = rest[n:]
		}
		l.Flush()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	})
}
