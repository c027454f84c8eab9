package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stead-dev/stead/ipc"
)

// pretty lays a structured line out for people: time, level, message, fields.
// received stands in for a time that the line does not say.
func (p paint) pretty(r ipc.Record, received time.Time) string {
	var words []string
	at := r.Time
	if at.IsZero() {
		at = received
	}
	if known(at) {
		words = append(words, p.in(dim, at.Local().Format("15:04:05.000")))
	}
	if r.Level != ipc.LevelUnknown {
		words = append(words, p.in(levelColor(r.Level), fmt.Sprintf("%-5s", strings.ToUpper(r.Level.String()))))
	}
	if r.Message != "" {
		words = append(words, shownMessage(r.Message))
	}
	for _, f := range r.Fields {
		words = append(words, p.in(dim, forTerminal([]byte(f.Key), false)+"=")+shownValue(f))
	}
	return strings.Join(words, " ")
}

// shownMessage lets a message have lines of its own: most are stack traces.
func shownMessage(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\r\n"), "\n")
	for i, line := range lines {
		lines[i] = forTerminal([]byte(line), false)
	}
	return strings.Join(lines, "\n    ")
}

// shownValue quotes what would not be seen to be one value.
func shownValue(f ipc.Field) string {
	nested := len(f.JSON) > 0 && (f.JSON[0] == '{' || f.JSON[0] == '[')
	if !nested && (f.Value == "" || strings.ContainsAny(f.Value, " \t\r\n\"=")) {
		return strconv.Quote(f.Value)
	}
	return forTerminal([]byte(f.Value), false)
}

func levelColor(l ipc.Level) color {
	switch {
	case l >= ipc.LevelError:
		return red
	case l == ipc.LevelWarn:
		return yellow
	case l == ipc.LevelInfo:
		return green
	}
	return dim
}

// known is false for the times of lines that were found after a crash.
func known(t time.Time) bool { return !t.IsZero() && t.Unix() != 0 }
