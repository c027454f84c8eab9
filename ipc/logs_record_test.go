package ipc

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParseRecord(t *testing.T) {
	cases := []struct{ line, want string }{
		{`{"time":"2026-01-02T03:04:05.678Z","level":"WARN","msg":"slow","took":12.5,"who":"a b","nested":{"a": [1]}}`,
			`03:04:05.678 warn "slow" took=12.5 who=a b nested={"a": [1]}`},
		{`{"level":30,"time":1767323045678,"pid":7,"msg":"pino"}`, `03:04:05.678 info "pino" pid=7`},
		{`{"level":"info","ts":1767323045.25,"caller":"a.go:1","msg":"zap"}`, `03:04:05.250 info "zap" caller=a.go:1`},
		{`{"severity":"CRITICAL","message":"gone","@timestamp":"2026-01-02T03:04:05+0000"}`, `03:04:05.000 fatal "gone"`},
		{`{"level":3,"short_message":"gelf"}`, `- error "" short_message=gelf`},
		{`{"message":{"a":1},"level":"debug"}`, `- debug "" message={"a":1}`},
		{`{"level":"error","msg":"one","msg":"two"}`, `- error "one" msg=two`},
		{`{"log.level":"info","message":"ecs"}`, `- info "ecs"`},
		{`  {"msg":"padded"}  `, `- "padded"`},
		{`time=2026-01-02T03:04:05.678Z level=INFO+2 msg="two words" path=/a=b empty= q="a\"b"`,
			`03:04:05.678 info "two words" path=/a=b empty= q=a"b`},
		{`ts=1767323045 lvl=eror msg=short`, `03:04:05.000 error "short"`},
		// Data, and what only looks like a record.
		{`{"a":1}`, "no"},
		{`{"level":"info","msg":"torn`, "no"},
		{`{"msg":"x"} {"msg":"y"}`, "no"},
		{`{]}`, "no"},
		{`{}`, "no"},
		{`listening addr=:80 msg=x`, "no"},
		{`a=b c=d`, "no"},
		{`level=info msg="unclosed`, "no"},
		{`x = y`, "no"},
		{`=`, "no"},
		{``, "no"},
		// The levels of plain lines.
		{`2026/01/02 03:04:05 ERROR could not`, "no error"},
		{`[warn] careful`, "no warn"},
		{`npm WARN deprecated`, "no warn"},
		{`panic: runtime error`, "no fatal"},
		{`2026-01-02 03:04:05,678 - app - CRITICAL - gone`, "no fatal"},
		{`INFO:     Started server process [1]`, "no info"},
		{`[03:04:05 INF] serilog`, "no info"},
		{`there was no error at all`, "no"},
		{`INFO_DIR is set`, "no"},
		{`the Error page`, "no"},
		{strings.Repeat("x", 100) + ` ERROR late`, "no"},
	}
	for _, c := range cases {
		r, ok := ParseRecord([]byte(c.line))
		if got := show(r, ok); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.line, got, c.want)
		}
	}
}

func show(r Record, ok bool) string {
	if !ok {
		return strings.TrimSpace("no " + r.Level.String())
	}
	words := []string{"-"}
	if !r.Time.IsZero() {
		words[0] = r.Time.UTC().Format("15:04:05.000")
	}
	if r.Level != LevelUnknown {
		words = append(words, r.Level.String())
	}
	words = append(words, fmt.Sprintf("%q", r.Message))
	for _, f := range r.Fields {
		words = append(words, f.Key+"="+f.Value)
	}
	return strings.Join(words, " ")
}

func TestRecordTimes(t *testing.T) {
	want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, text := range []string{"1767323045", "1767323045000", "1767323045000000", "1767323045000000000", "1.767323045e9",
		"2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", "2026-01-02T04:04:05.000+0100", "2026-01-02 03:04:05+00:00"} {
		if got := recordTime(text); !got.Equal(want) {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{"", "0", "NaN", "-1", "yesterday", "1e300", "12.5"} {
		if got := recordTime(text); !got.IsZero() {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"level":"info","msg":"x","a":{"b":[1,"\u0000"]}}`))
	f.Add([]byte(`level=info msg="a\"b" t=1`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, ok := ParseRecord(line)
		if ok && r.Message == "" && r.Level == LevelUnknown {
			t.Errorf("%q is a record without level and message", line)
		}
		_ = r.Level.String()
	})
}
