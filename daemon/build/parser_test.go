package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stead-dev/stead/runtime"
)

func TestEndlessOutputCostsNoMemory(t *testing.T) {
	p := NewParser(Options{Dir: "/src"})
	long := []byte(strings.Repeat("x", 1<<20) + "\x1b[31m\r")
	for range 16 { // one line of 16 MiB
		if _, err := p.Write(long); err != nil {
			t.Fatal(err)
		}
	}
	if size := cap(p.rest); size > 4*keptLine {
		t.Errorf("%d bytes of a line are kept", size)
	}
	_, _ = p.Write([]byte("\n"))
	for i := range 5_000 {
		fmt.Fprintf(p, "main.go:%d:1: undefined: x%d\n", i+1, i)
		fmt.Fprintf(p, "\thave %s\n", strings.Repeat("y", 500))
	}
	found, dropped := p.Diagnostics()
	if len(found) != keptDiagnostics || dropped != 5_000-keptDiagnostics || len(p.seen) != keptDiagnostics {
		t.Errorf("%d kept, %d dropped, %d seen", len(found), dropped, len(p.seen))
	}
	if found[0].Line != 1 {
		t.Errorf("the first is %v", found[0])
	}
}

func TestOneDiagnosticIsBounded(t *testing.T) {
	p := NewParser(Options{Dir: "/src"})
	fmt.Fprintln(p, "main.go:1:1: first")
	for range 10_000 {
		fmt.Fprintln(p, "\tmore and more and more")
	}
	fmt.Fprintln(p, "main.go:2:1: second")
	found, _ := p.Diagnostics()
	if len(found) != 2 || len(found[0].Text) > keptText+8 {
		t.Errorf("%d found, the first with %d bytes", len(found), len(found[0].Text))
	}
}

func TestErrorsTakeThePlaceOfWarnings(t *testing.T) {
	p := NewParser(Options{Dir: "/src"})
	for i := range 2 * keptDiagnostics {
		fmt.Fprintf(p, "a.c:%d:1: warning: odd\n", i+1)
	}
	fmt.Fprintln(p, "a.c:9999:1: error: bad")
	found, dropped := p.Diagnostics()
	if !slices.ContainsFunc(found, func(d runtime.Diagnostic) bool { return d.Line == 9999 }) || dropped != keptDiagnostics+1 {
		t.Errorf("%d found, %d dropped, without the error", len(found), dropped)
	}
}

func TestSameTwiceIsOnce(t *testing.T) {
	if found := Diagnostics("a.c:1:1: error: bad\na.c:1:1: error: bad\n", Options{Dir: "/src"}); len(found) != 1 {
		t.Errorf("found %v", found)
	}
}

// TestLogsOfServicesAreNoCompilers has lines that a build's output would be
// searched for, in what a running service prints.
func TestLogsOfServicesAreNoCompilers(t *testing.T) {
	text := "main.go:12: listening\nsrc/a.ts:3:4: handled\nerror: no\n --> a.rs:1:2\n" +
		"panic: really\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:3 +0x1d\nexit status 2\n"
	found := Diagnostics(text, Options{Dir: "/src", Running: true, Service: "web", Generation: 7, Cause: "saved main.go"})
	want := runtime.Diagnostic{File: "/src/main.go", Line: 3, Severity: runtime.SeverityError, Text: "panic: really", Tool: "go",
		Service: "web", Generation: 7, Cause: "saved main.go"}
	if len(found) != 1 || found[0] != want {
		t.Errorf("found %+v, want %+v", found, want)
	}
}

// TestRelativePathsOfWorkspaces has tools that print paths from a root above
// the directory they run in.
func TestRelativePathsOfWorkspaces(t *testing.T) {
	there := func(paths ...string) func(string) bool {
		return func(path string) bool { return slices.Contains(paths, path) }
	}
	for _, c := range []struct{ text, exists, want string }{
		{"error: bad\n --> web/src/main.rs:1:2\n\n", "/ws/web/src/main.rs", "/ws/web/src/main.rs"},
		{"error: bad\n --> src/main.rs:1:2\n\n", "/ws/web/src/main.rs", "/ws/web/src/main.rs"},
		{"error: bad\n --> gone.rs:1:2\n\n", "/else", "/ws/web/gone.rs"},
		{"panic: x\n\ngoroutine 1 [running]:\nmain.main()\n\texample.com/shop/web/main.go:15\n", "/ws/web/main.go", "/ws/web/main.go"},
		{"panic: x\n\ngoroutine 1 [running]:\nsort.Sort(0x1)\n\tsort/sort.go:1\nexample.com/shop/lib.F()\n\texample.com/shop/lib/lib.go:15\n", "/ws/lib/lib.go", "/ws/lib/lib.go"},
	} {
		found := Diagnostics(c.text, Options{Dir: "/ws/web", Project: "/ws", Exists: there(c.exists)})
		if len(found) != 1 || found[0].File != c.want {
			t.Errorf("%q: %v, want %s", c.text, found, c.want)
		}
	}
}

func TestFramesOfOthersAreSkipped(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"module cache", "panic: x\n\ngoroutine 1 [running]:\ngithub.com/a/b.F()\n\t/root/go/pkg/mod/github.com/a/b@v1.0.0/b.go:3 +0x1\nmain.main()\n\t/ws/main.go:7 +0x1\n", "/ws/main.go:7"},
		{"vendor", "panic: x\n\ngoroutine 1 [running]:\ngithub.com/a/b.F()\n\t/ws/vendor/github.com/a/b/b.go:3 +0x1\nmain.main()\n\t/ws/main.go:7 +0x1\n", "/ws/main.go:7"},
		{"node_modules", "TypeError: x\n    at f (/ws/node_modules/a/b.js:1:2)\n    at g (/ws/a.js:3:4)\n", "/ws/a.js:3:4"},
		{"nothing of ours", "TypeError: x\n    at f (/ws/node_modules/a/b.js:1:2)\n", "/ws/node_modules/a/b.js:1:2"},
		{"a library in a project's path", "panic: x\n\ngoroutine 1 [running]:\nmain.main()\n\t/ws/internal/a.go:7 +0x1\n", "/ws/internal/a.go:7"},
	} {
		found := Diagnostics(c.text, Options{Dir: "/ws", Running: true})
		if len(found) != 1 || found[0].Position() != c.want {
			t.Errorf("%s: %v, want %s", c.name, found, c.want)
		}
	}
}

func TestMatcher(t *testing.T) {
	m, err := NewMatcher(MatcherSpec{Pattern: `^(\w+)! (?P<line>\d+) in (.*?): (.*)$`, File: 3, Severity: 1, Message: 4, Level: runtime.SeverityWarning})
	if err != nil {
		t.Fatal(err)
	}
	found := Diagnostics("Warning! 7 in a b.x: odd\nError! 8 in c.x: bad\nOops! 9 in c.x: fine\n", Options{Dir: "/src", Running: true, Matchers: []*Matcher{m}})
	want := "/src/a b.x:7: warning [matcher] odd\n/src/c.x:8: error [matcher] bad\n/src/c.x:9: warning [matcher] fine\n"
	if got := show(found); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestMatcherErrors(t *testing.T) {
	for _, c := range []struct {
		spec MatcherSpec
		want string
	}{
		{MatcherSpec{Pattern: "(", File: 1}, "problem matcher: pattern: missing closing )"},
		{MatcherSpec{Pattern: "(a)(?=b)", File: 1}, "invalid or unsupported Perl syntax"},
		{MatcherSpec{Pattern: "(a)", File: 2}, "file: group 2, but pattern has 1 groups"},
		{MatcherSpec{Pattern: "(a)", Line: -1}, "line: group -1"},
		{MatcherSpec{Pattern: "(a)"}, "no group for file"},
		{MatcherSpec{Pattern: "(a)", File: 1, Level: "fatal"}, `severity "fatal"`},
	} {
		_, err := NewMatcher(c.spec)
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, runtime.Invalid) {
			t.Errorf("%+v: %v, want %q", c.spec, err, c.want)
		}
	}
}

func FuzzParser(f *testing.F) {
	files, _ := filepath.Glob("testdata/output/*.txt")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, len(text)%7)
	}
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		whole := Diagnostics(string(text), Options{Dir: "/src"})
		p := NewParser(Options{Dir: "/src"})
		for part := range slices.Chunk(text, max(1, cut)) {
			_, _ = p.Write(part)
		}
		parts, _ := p.Diagnostics()
		if !slices.Equal(whole, parts) {
			t.Errorf("how output is cut matters:\n%v\n%v", whole, parts)
		}
		for _, d := range whole {
			if !filepath.IsAbs(d.File) || d.Line < 0 || d.Column < 0 || d.Text == "" || len(d.Text) > 2*keptText {
				t.Errorf("not well formed: %+v", d)
			}
		}
	})
}

// BenchmarkNoise is output without anything in it.
func BenchmarkNoise(b *testing.B) {
	line := []byte("2026/11/22 05:41:36 INFO [web] compiled module 12 of 400 in 15ms\n")
	b.SetBytes(int64(len(line)))
	p := NewParser(Options{Dir: "/src"})
	for b.Loop() {
		_, _ = p.Write(line)
	}
}

// TestAPanicWithTheRuntimesFramesIsFoundInOurs: GOTRACEBACK=system prints more
// on each line.
func TestAPanicWithTheRuntimesFramesIsFoundInOurs(t *testing.T) {
	const text = "panic: no luck\n\ngoroutine 1 gp=0x368f492321e0 m=0 mp=0x5268a0 [running]:\npanic({0x4811e0?, 0x497cf8?})\n" +
		"\t/usr/local/go/src/runtime/panic.go:879 +0x16f fp=0x368f49266728 sp=0x368f49266678 pc=0x471ecf\nmain.main()\n" +
		"\t/src/shop/main.go:5 +0x25 fp=0x368f49266748 sp=0x368f49266728 pc=0x47a765\n"
	found := Diagnostics(text, Options{Dir: "/src/shop", Running: true})
	if len(found) != 1 || found[0].File != "/src/shop/main.go" || found[0].Line != 5 || found[0].Text != "panic: no luck" {
		t.Errorf("%+v", found)
	}
}
