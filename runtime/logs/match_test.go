package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

func TestRequired(t *testing.T) {
	cases := []struct {
		expr   string
		want   string
		enough bool
	}{
		{"timeout", "timeout", true},
		{"(?i)Warn", "warn/i", true},
		{"(?i)task", "ta/i", false}, // K has a third form
		{"(?i)İstanbul", "tanbul/i", false},
		{"(time)+", "time", false},
		{"error|warning", "error warning", true},
		{"err(or|no)", "err", false},
		{"GET .*status=5..", "status=5", false},
		{`^\d+ (foo|barbaz) x`, "foo barbaz", false},
		{`^\d+ (f|ba) xyz`, " xyz", false},
		{"a|b|.", "", false},
		{"a*", "", false},
		{`\d{3}`, "", false},
		{"x{3}y", "x", false},
		{"\uFFFD", "", false}, // also bytes that are no UTF-8
		{"a\nb", "a\nb", false},
		{"end\r", "end\r", false},
		{"(error)", "error", true},
	}
	for _, c := range cases {
		re, err := syntax.Parse(c.expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		list, enough := required(re.Simplify())
		var words []string
		for _, n := range list {
			word := string(n.text)
			if n.fold {
				word += "/i"
			}
			words = append(words, word)
		}
		if got := strings.Join(words, " "); got != c.want || enough != c.enough {
			t.Errorf("%q: %q, %v; want %q, %v", c.expr, got, enough, c.want, c.enough)
		}
	}
}

func FuzzNeedleFold(f *testing.F) {
	f.Add("an Error or two ERRORS", "error")
	f.Add("eee", "E")
	f.Fuzz(func(t *testing.T, text, word string) {
		re, err := syntax.Parse("(?i)"+regexp.QuoteMeta(word), syntax.Perl)
		if err != nil {
			t.Skip()
		}
		list, enough := required(re.Simplify())
		if len(list) != 1 {
			t.Skip()
		}
		found := list[0].index([]byte(text)) >= 0
		matches := regexp.MustCompile("(?i)" + regexp.QuoteMeta(word)).MatchString(text)
		if matches && !found || enough && found && !matches {
			t.Errorf("%q in %q: needle %v, expression %v", word, text, found, matches)
		}
	})
}

// matchExpressions take each way through the search.
var matchExpressions = []string{
	"needle", "(?i)NEEDLE", "(?i)sick", "ne+dle|hay [0-9]", "^hay", "dle$", `\d{4}`, "^$", ".", "x{40}", "absent", "hay .* needle",
}

// scribble writes lines as several authors, torn in places.
func scribble(r *rand.Rand, w *Writer) {
	words := []string{"hay ", "needle", "NeeDle ", "1234 ", "ſick", "Kelvin", "\xff\xfe", "\x00", "\r", strings.Repeat("x", 50), "\x1b[31m", "dle"}
	rest := map[author]string{}
	for range 300 {
		in := web(uint64(1 + r.IntN(2)))
		in.Attempt = 1 + r.IntN(50)/49
		stream := runtime.StreamStdout + runtime.Stream(r.IntN(2))
		key := author{generation: in.ID.Number, stream: stream}
		text := rest[key]
		for range r.IntN(4) {
			for range r.IntN(5) {
				text += words[r.IntN(len(words))]
			}
			text += []string{"\n", "\n", "\r\n"}[r.IntN(3)]
		}
		rest[key] = ""
		if r.IntN(8) == 0 && len(text) > 1 { // torn
			i := r.IntN(len(text))
			text, rest[key] = text[:i], text[i:]
		}
		w.Append(in, stream, []byte(text))
	}
}

// byHand does what a search is to do, without any haste.
func byHand(blocks []runtime.LogBlock, expr string) []string {
	re := regexp.MustCompile(expr)
	var got []string
	type held struct {
		attempt int
		text    string
	}
	rest := map[author]held{}
	var order []author
	say := func(key author, line string) {
		if re.MatchString(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")) {
			got = append(got, fmt.Sprintf("%d/%d %q", key.generation, key.stream, strings.TrimSuffix(line, "\n")))
		}
	}
	drop := func(key author) {
		delete(rest, key)
		for i, k := range order {
			if k == key {
				order = append(order[:i:i], order[i+1:]...)
				return
			}
		}
	}
	for _, b := range blocks {
		key := author{generation: b.Instance.ID.Number, stream: b.Stream}
		for line := range strings.Lines(string(b.Data)) {
			h := rest[key]
			if h.text != "" && h.attempt != b.Instance.Attempt {
				say(key, h.text)
				drop(key)
				h = held{}
			}
			whole := h.text + line
			if strings.HasSuffix(whole, "\n") {
				say(key, whole)
				drop(key)
				continue
			}
			if h.text == "" {
				order = append(order, key)
				h.attempt = b.Instance.Attempt
			}
			rest[key] = held{h.attempt, whole}
		}
	}
	for _, key := range order {
		say(key, rest[key].text)
	}
	return got
}

func found(t *testing.T, s *Store, q runtime.LogQuery) []string {
	t.Helper()
	var got []string
	end := int64(-1)
	for _, b := range read(t, s, q) {
		end = b.Offset + int64(len(b.Data))
		for line := range strings.Lines(string(b.Data)) {
			if !strings.HasSuffix(line, "\n") {
				t.Errorf("%q has no end", line)
			}
			got = append(got, fmt.Sprintf("%d/%d %q", b.Instance.ID.Number, b.Stream, strings.TrimSuffix(line, "\n")))
		}
	}
	if _, total := files(t, s.dir, dataSuffix); end != total {
		t.Errorf("reading ended at %d, want %d", end, total)
	}
	return got
}

func TestMatchIsWhatItSeemsToBe(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var at clock
		s := open(t, t.TempDir(), Options{SegmentSize: int64(400 + r.IntN(20000)), Now: at.now})
		w := webWriter(s)
		scribble(r, w)
		all := read(t, s, everything)
		for _, expr := range matchExpressions {
			q := everything
			q.Match = expr
			want := byHand(all, expr)
			if got := found(t, s, q); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, %q:\n got %d %.2000q\nwant %d %.2000q", seed, expr, len(got), got, len(want), want)
			}
		}
		w.Close()
	}
}

func TestMatchLast(t *testing.T) {
	s := open(t, t.TempDir(), Options{SegmentSize: 300})
	w := webWriter(s)
	defer w.Close()
	var want []string
	for i := range 200 {
		line := fmt.Sprintf("line %d odd", i)
		if i%3 == 0 {
			line = fmt.Sprintf("line %d three", i)
			want = append(want, fmt.Sprintf("1/1 %q", line))
		}
		w.Append(web(1), runtime.StreamStdout, []byte(line+"\n"))
	}
	for _, last := range []int{1, 2, 5, 66, 67, 1000} {
		q := everything
		q.Match, q.Last = "three", last
		if got := found(t, s, q); !reflect.DeepEqual(got, want[max(0, len(want)-last):]) {
			t.Errorf("the last %d: %d lines: %q", last, len(got), got)
		}
	}
}

func TestMatchInvalidExpression(t *testing.T) {
	q := everything
	q.Match, q.Follow = "a(b", true
	err := open(t, t.TempDir(), Options{}).Read(t.Context(), q, nil)
	if !errors.Is(err, runtime.Invalid) || !strings.Contains(err.Error(), "missing closing )") {
		t.Errorf("got %v", err)
	}
}

func TestMatchByStream(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	defer w.Close()
	w.Append(web(1), runtime.StreamStdout, []byte("out\n"))
	w.Append(web(1), runtime.StreamStderr, []byte("err\n"))
	w.Note(web(1), "exit code 1")
	for stream, want := range map[runtime.Stream]string{
		runtime.StreamUnknown: "out\nerr\nexit code 1\n", runtime.StreamStdout: "out\n", runtime.StreamStderr: "err\n", runtime.StreamRuntime: "exit code 1\n",
	} {
		for _, expr := range []string{"", "."} {
			q := everything
			q.Stream, q.Match = stream, expr
			if got := text(read(t, s, q)); got != want {
				t.Errorf("stream %v, match %q: %q", stream, expr, got)
			}
		}
	}
}

func TestMatchFollow(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	defer w.Close()
	w.Append(web(1), runtime.StreamStdout, []byte("a needle\nhay\n"))
	q := everything
	q.Match = "needle"
	blocks := follow(t, s, q)
	if b := next(t, blocks); string(b.Data) != "a needle\n" {
		t.Errorf("the past: %q", b.Data)
	}
	w.Append(web(1), runtime.StreamStdout, []byte("hay\nthe nee"))
	w.Append(web(1), runtime.StreamStderr, []byte("in between: needle\n"))
	if b := next(t, blocks); string(b.Data) != "in between: needle\n" {
		t.Errorf("in between: %q", b.Data)
	}
	w.Append(web(1), runtime.StreamStdout, []byte("dle\n"))
	b := next(t, blocks)
	if string(b.Data) != "the needle\n" {
		t.Errorf("torn: %q", b.Data)
	}
	if end := b.Offset + int64(len(b.Data)); end != 47 {
		t.Errorf("the line ends at %d", end)
	}
}

func TestMatchGap(t *testing.T) {
	s := open(t, t.TempDir(), Options{SegmentSize: 256, MaxBytes: 1024})
	w := webWriter(s)
	defer w.Close()
	for i := range 100 {
		w.Append(web(1), runtime.StreamStdout, fmt.Appendf(nil, "line %d%s\n", i, strings.Repeat(".", 50)))
	}
	q := everything
	q.Match, q.Offset = "line 99", 1
	got := read(t, s, q)
	if len(got) != 2 || got[0].Gap == 0 || !strings.HasPrefix(string(got[0].Data), "line 99.") {
		t.Errorf("got %v", got)
	}
}

// A line of many blocks is one; beyond MaxLine it is searched in pieces.
func TestMatchLongLines(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	defer w.Close()
	long := strings.Repeat("x", 1<<20-7) + "needle" // with LF 1 MiB
	for _, piece := range []string{long[:70000], long[70000 : 1<<20-3], long[1<<20-3:] + "\n", "hay\n"} {
		w.Append(web(1), runtime.StreamStdout, []byte(piece))
	}
	q := everything
	q.Match = "^x.*needle$"
	if got := text(read(t, s, q)); got != long+"\n" {
		t.Errorf("1 MiB: %d bytes", len(got))
	}
	w.Append(web(1), runtime.StreamStdout, []byte(strings.Repeat("z", 3<<20)+"needle\n"))
	q.Match = "needle"
	if got := text(read(t, s, q)); got != long+"\nneedle\n" {
		t.Errorf("3 MiB: %d bytes", len(got))
	}
	q.Match = "z"
	if got := text(read(t, s, q)); len(got) != 3<<20+3 {
		t.Errorf("pieces of 3 MiB: %d bytes", len(got))
	}
}

// Times go back with the clock; what was written later comes later.
func TestMatchWithClockSetBack(t *testing.T) {
	var at clock
	at.set(200000)
	s := open(t, t.TempDir(), Options{Now: at.now})
	w := webWriter(s)
	defer w.Close()
	w.Append(web(1), runtime.StreamStdout, []byte("before 1\n"))
	at.set(200000 - 24*3600)
	w.Append(web(1), runtime.StreamStdout, []byte("after 2\n"))
	at.set(200001)
	w.Append(web(1), runtime.StreamStdout, []byte("again 3\n"))
	for _, expr := range []string{"", "[0-9]"} {
		q := everything
		q.Match = expr
		if got := text(read(t, s, q)); got != "before 1\nafter 2\nagain 3\n" {
			t.Errorf("all: %q", got)
		}
		q.Since = time.Unix(199999, 0)
		if got := text(read(t, s, q)); got != "before 1\nagain 3\n" {
			t.Errorf("since: %q", got)
		}
		q.Until = time.Unix(200001, 0)
		if got := text(read(t, s, q)); got != "before 1\n" {
			t.Errorf("until: %q", got)
		}
	}
}

func TestMatchEndsWithItsReader(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	w := webWriter(s)
	defer w.Close()
	w.Append(web(1), runtime.StreamStdout, bytes.Repeat([]byte("needle\n"), 100000))
	bad, n := errors.New("bad"), 0
	q := everything
	q.Match = "needle"
	err := s.Read(context.Background(), q, func(b runtime.LogBlock) error {
		if n++; len(b.Data) > maxBlock {
			t.Errorf("a block of %d bytes", len(b.Data))
		}
		return bad
	})
	if err != bad || n != 1 {
		t.Errorf("%v after %d calls", err, n)
	}
}
