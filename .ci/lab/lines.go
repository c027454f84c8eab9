package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// logLine is a line of `stead logs --output json`.
type logLine struct {
	Instance string `json:"instance"`
	Stream   string `json:"stream"`
	Text     string `json:"text"`
}

// reader checks what one stream of a service that writes numbered lines
// (testdata/service, -write) has in the log: each byte once, in order, and by
// whom it was written. Only what the end of a process cut off may be missing.
type reader struct {
	owner  string // environment/project/service
	prefix string // "out " or "err "
	fill   func(n int) string

	instance string // that wrote last
	fresh    bool   // it has no whole line yet
	text     []byte // of the line under way
	last     int    // number of the last whole line
	ends     int    // of instances
	missing  int    // lines that an end has cut off
	lines    int
	bytes    int64
	fault    error
}

// add takes a line, or the next piece of one that was too long for one.
func (r *reader) add(line logLine) {
	switch {
	case line.Instance != r.instance:
		r.finish(true)
		r.instance, r.fresh = line.Instance, true
		r.ends++
	case strings.HasPrefix(line.Text, r.prefix):
		r.finish(false)
	}
	r.text = append(r.text, line.Text...)
}

// finish looks at the line that is complete now. The last one of an instance,
// with over, may have been cut anywhere.
func (r *reader) finish(over bool) {
	text := string(r.text)
	r.text = r.text[:0]
	if text == "" || r.fault != nil {
		return
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(text, r.prefix), " ")
	n, _ := strconv.Atoi(number)
	switch {
	case text != r.whole(n):
		if !over || !r.begins(text) {
			r.fault = fmt.Errorf("after line %d, %s has %.200q, which it never wrote", r.last, r.instance, text)
		}
		r.bytes += int64(len(text))
		return
	case n <= r.last:
		r.fault = fmt.Errorf("line %d is there again, after %d", n, r.last)
	case n > r.last+1 && !r.fresh:
		r.fault = fmt.Errorf("lines %d to %d are missing in the middle of %s", r.last+1, n-1, r.instance)
	}
	r.missing += n - r.last - 1
	r.last, r.fresh = n, false
	r.lines++
	r.bytes += int64(len(text)) + 1
}

// whole is line n as it was written.
func (r *reader) whole(n int) string {
	return fmt.Sprintf("%s%d %s/%s", r.prefix, n, r.owner, r.instance) + r.fill(n)
}

// begins reports whether text is the beginning of the next line, or, of an
// instance without any, of a later one.
func (r *reader) begins(text string) bool {
	for n := r.last + 1; n <= r.last+1+r.ends; n++ {
		if strings.HasPrefix(r.whole(n), text) {
			return true
		}
	}
	return false
}

// end judges the whole stream; noted is the number of the last line that the
// service meant to write.
func (r *reader) end(noted int) error {
	r.finish(true)
	r.missing += max(noted-r.last, 0)
	switch {
	case r.fault != nil:
		return r.fault
	case noted < r.last || r.lines == 0:
		return fmt.Errorf("%d lines, the last is %d, and %d is noted", r.lines, r.last, noted)
	case r.missing > r.ends+1:
		return fmt.Errorf("%d lines are missing at the ends of %d instances", r.missing, r.ends)
	}
	return nil
}

// written is what testdata/service appends to line n on stdout.
func written(kind string) func(n int) string {
	return func(n int) string {
		length := n % 40
		if kind == "long" {
			length = n * 7919 % 200_000
		}
		return " " + strings.Repeat(string(rune('a'+n%26)), length)
	}
}

// auditLines reads the whole log of a service.
func (s *stead) auditLines(service, owner, kind string) error {
	out := &reader{owner: owner, prefix: "out ", fill: written(kind)}
	errs := &reader{owner: owner, prefix: "err ", fill: func(int) string { return "" }}
	var found []error
	err := s.lines(func(text []byte) error {
		var line logLine
		if err := json.Unmarshal(text, &line); err != nil {
			return fmt.Errorf("%.100q: %w", text, err)
		}
		switch line.Stream {
		case "stdout":
			out.add(line)
		case "stderr":
			errs.add(line)
		case "stead":
			if strings.HasSuffix(line.Text, "bytes are missing here") {
				found = append(found, errors.New(line.Text))
			}
		default:
			found = append(found, fmt.Errorf("stream %q: %.100q", line.Stream, line.Text))
		}
		return nil
	}, "logs", "--output", "json", service)
	if err != nil {
		return err
	}
	noted, err := os.ReadFile(filepath.Join(s.dir, service))
	if err != nil {
		return err
	}
	last, err := strconv.Atoi(strings.TrimSpace(string(noted)))
	if err != nil {
		return err
	}
	for _, r := range []*reader{out, errs} {
		if err := r.end(last); err != nil {
			found = append(found, fmt.Errorf("%s, %s: %w", service, r.prefix, err))
		}
		fmt.Printf("%s %s: %d lines, %d bytes, each once; %d cut off at the ends of %d processes\n",
			service, strings.TrimSpace(r.prefix), r.lines, r.bytes, r.missing, r.ends)
	}
	return errors.Join(found...)
}
