package conformance

import (
	"testing"

	"github.com/stead-dev/stead/runtime"
)

func logsMatch(t *testing.T, s *suite) {
	s.start(t, s.spec("web", "print", "an error\nfine\r\nanother Error\nfine too\n"))
	s.follow(t, "web", "too\n")
	cases := []struct {
		query runtime.LogQuery
		want  string
	}{
		{runtime.LogQuery{Match: "error"}, "an error\n"},
		{runtime.LogQuery{Match: "(?i)error"}, "an error\nanother Error\n"},
		{runtime.LogQuery{Match: "(?i)error", Last: 1}, "another Error\n"},
		{runtime.LogQuery{Match: "^fine$"}, "fine\r\n"},
		{runtime.LogQuery{Match: "^an (e|o)"}, "an error\n"},
		{runtime.LogQuery{Match: "absent"}, ""},
		{runtime.LogQuery{Match: "fine", Stream: runtime.StreamStdout}, "fine\r\nfine too\n"},
		{runtime.LogQuery{Match: "fine", Stream: runtime.StreamStderr}, ""},
	}
	for _, c := range cases {
		if s.h.OthersLogs && c.query.Stream != runtime.StreamUnknown {
			continue
		}
		c.query.Service = "web"
		if got := s.logs(t, c.query); got != c.want {
			t.Errorf("%+v: %q", c.query, got)
		}
	}
	err := s.rt.Logs(t.Context(), full(runtime.LogQuery{Service: "web", Match: "a(b"}), func(runtime.LogBlock) error { return nil })
	wantClass(t, "an expression that is none", err, runtime.Invalid)
	matchesEnd(t, s)
}

// matchesEnd: a search says how far it came, so that another can go on.
func matchesEnd(t *testing.T, s *suite) {
	end := func(q runtime.LogQuery) (offset int64) {
		q.Service = "web"
		err := s.rt.Logs(t.Context(), full(q), func(b runtime.LogBlock) error {
			offset = b.Offset + int64(len(b.Data))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return offset
	}
	all := end(runtime.LogQuery{})
	if got := end(runtime.LogQuery{Match: "absent"}); got != all {
		t.Errorf("a search of %d bytes ended at %d", all, got)
	}
}
