package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
)

// event is one line of `go test -json` (go doc test2json, and go help buildjson).
type event struct {
	Action      string
	Package     string
	ImportPath  string // build-output, build-fail
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// name identifies a test, or with Test empty a package.
type name struct{ Package, Test string }

// report is what was read so far. Output is kept until its test or package
// ends, and dropped when that is well.
type report struct {
	out    io.Writer
	output map[name][]string
	failed map[name]bool
	build  map[string][]string // by import path: what the compiler said
	count  struct{ passed, failed, skipped int }
	skips  []skip
	events int
	broken bool // something failed that is not a test
	blamed int  // count.failed when a go command failed last
}

type skip struct{ pkg, test, reason string }

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[name][]string{}, failed: map[name]bool{}, build: map[string][]string{}}
}

// line takes one line. What is no event (a go command's own complaint) is shown.
func (r *report) line(text []byte) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		fmt.Fprintf(r.out, "%s\n", strings.TrimRight(string(text), "\n"))
		return
	}
	r.events++
	n := name{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.output[n] = append(r.output[n], e.Output)
	case "build-output":
		r.build[e.ImportPath] = append(r.build[e.ImportPath], e.Output)
	case "build-fail":
		r.broken = true
		fmt.Fprintf(r.out, "--- does not build: %s\n%s", e.ImportPath, strings.Join(r.build[e.ImportPath], ""))
	case "pass", "fail", "skip":
		r.ended(n, e)
	case "broken": // not go's: .ci/test says that a go command failed, maybe without any test to blame
		r.broken = r.broken || r.count.failed == r.blamed
		r.blamed = r.count.failed
	}
}

func (r *report) ended(n name, e event) {
	output := r.output[n]
	delete(r.output, n)
	switch {
	case n.Test == "":
		r.packageEnded(n.Package, e, output)
	case e.Action == "pass":
		r.count.passed++
	case e.Action == "skip":
		r.count.skipped++
		r.skips = append(r.skips, skip{n.Package, n.Test, reason(output)})
	default:
		r.count.failed++
		r.failed[n] = true
		fmt.Fprintf(r.out, "--- failed: %s %s (%.2fs)\n%s", n.Package, n.Test, e.Elapsed, said(output))
	}
}

func (r *report) packageEnded(pkg string, e event, output []string) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(r.out, "ok    %s %.1fs\n", pkg, e.Elapsed)
	case "fail":
		fmt.Fprintf(r.out, "FAIL  %s %.1fs\n", pkg, e.Elapsed)
		if e.FailedBuild == "" && !r.anyFailed(pkg) { // a panic, a timeout, os.Exit: no test was blamed
			r.broken = true
			r.blame(pkg, output)
		}
	}
}

func (r *report) anyFailed(pkg string) bool {
	for n := range r.failed {
		if n.Package == pkg {
			return true
		}
	}
	return false
}

// blame shows what a package that died has said, with the output of the tests
// that were under way.
func (r *report) blame(pkg string, output []string) {
	fmt.Fprint(r.out, said(output))
	var running []string
	for n := range r.output {
		if n.Package == pkg {
			running = append(running, n.Test)
		}
	}
	sort.Strings(running)
	for _, test := range running {
		fmt.Fprintf(r.out, "--- under way: %s %s\n%s", pkg, test, said(r.output[name{pkg, test}]))
	}
}

// said is a test's output without the frame that go test puts around it.
func said(output []string) string {
	var b strings.Builder
	for _, text := range output {
		if !strings.HasPrefix(text, "=== ") && strings.TrimSpace(text) != "" {
			b.WriteString(text)
		}
	}
	return b.String()
}

// reason is the last thing that a skipped test said, without its position.
func reason(output []string) string {
	text := ""
	for _, line := range output {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") || line == "" {
			continue
		}
		text = line
	}
	if _, after, ok := strings.Cut(text, ".go:"); ok {
		if _, after, ok := strings.Cut(after, ": "); ok {
			return after
		}
	}
	if text == "" {
		return "no reason given"
	}
	return text
}

// end prints the skips and the sum.
func (r *report) end(allowed map[string]bool) {
	sort.Slice(r.skips, func(i, j int) bool { return r.skips[i].line() < r.skips[j].line() })
	for _, s := range r.skips {
		fmt.Fprintln(r.out, "skipped:", s.line())
		if allowed != nil && !s.allowed(allowed) {
			r.count.failed++
			r.broken = true
			fmt.Fprintf(r.out, "--- failed: %s was skipped and is not in the list of allowed skips\n", s.test)
		}
	}
	if r.events == 0 {
		fmt.Fprintln(r.out, "--- failed: there were no tests to read about")
	}
	if r.count.failed == 0 && r.broken {
		r.count.failed++ // so that the sum never looks well when the run was not
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.count.passed, r.count.failed, r.count.skipped)
}

func (r *report) ok() bool { return r.events > 0 && r.count.failed == 0 && !r.broken }

func (r *report) skipList() string {
	var b strings.Builder
	for _, s := range r.skips {
		fmt.Fprintln(&b, s.line())
	}
	return b.String()
}

// failedList names the top-level tests that failed; nothing when the run is
// broken in another way.
func (r *report) failedList() string {
	if r.broken {
		return ""
	}
	tests := map[string]bool{}
	for n := range r.failed {
		top, _, _ := strings.Cut(n.Test, "/")
		tests[n.Package+" "+top] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(tests)), "\n")
}

func (s skip) line() string { return s.test + ": " + s.reason + " (" + s.pkg + ")" }
