// Command testreport reads `go test -json` from its standard input and says
// what a person wants to know: failures with their output as they come, one
// line per package, every skipped test with its reason, and the sum.
//
//	go test -json ./... | testreport [-skips FILE] [-allow FILE] [-failed FILE]
//
// -skips writes the skipped tests to FILE, one `name: reason` per line. With
// -allow a skip whose test is not named in FILE is a failure; its lines are
// `TestName # reason`, and a name stands for its subtests too.
//
// -failed writes the tests that failed to FILE, one `package test` per line,
// and nothing when something else is wrong too: what is in it may be tried
// again.
//
// The last line is always `N passed, N failed, N skipped`. The exit code is 1
// when something failed, and also when there was nothing to read: a go
// command that breaks early must not pass for a test run.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	skips := flag.String("skips", "", "write the skipped tests to this `file`")
	allow := flag.String("allow", "", "fail on a skip that this `file` does not name")
	failed := flag.String("failed", "", "write the failed tests to this `file`")
	flag.Parse()
	ok, err := run(os.Stdin, os.Stdout, files{*skips, *allow, *failed})
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// files are the paths of the flags; empty: none.
type files struct{ skips, allow, failed string }

func run(in io.Reader, out io.Writer, f files) (bool, error) {
	allowed, err := readAllowed(f.allow)
	if err != nil {
		return false, err
	}
	r := newReport(out)
	lines := bufio.NewReader(in) // not a Scanner: a line of test output may be of any length
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, fmt.Errorf("read test events: %w", err)
		}
	}
	r.end(allowed)
	for path, text := range map[string]string{f.skips: r.skipList(), f.failed: r.failedList()} {
		if path == "" {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return false, err
		}
	}
	return r.ok(), nil
}
