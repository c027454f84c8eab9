package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// view shows a board while it changes.
type view interface {
	show(b *board, now time.Time)
	// end shows the board for the last time.
	end(b *board, now time.Time)
}

// newView returns the view that suits where the output goes.
func (c *cli) newView() view {
	fd, ok := terminal(c.out)
	if !ok {
		return &lineView{out: c.out, said: map[string]string{}}
	}
	return &liveView{out: c.out, paint: c.paint(c.out), size: func() (int, int) {
		columns, rows, err := term.GetSize(fd)
		if err != nil {
			return 80, 24
		}
		return columns, rows
	}}
}

// lineView writes one line each time a service gets somewhere.
type lineView struct {
	out  io.Writer
	said map[string]string
}

func (v *lineView) show(b *board, now time.Time) {
	longest := 0
	for _, key := range b.keys {
		longest = max(longest, len(b.name(key)))
	}
	for _, key := range b.keys {
		s := b.seen[key]
		if s == nil {
			continue
		}
		// What changes by itself, as a countdown does, is no news.
		news := strings.Join([]string{s.Phase, s.Cause, strings.Join(s.WaitsFor, " "), generations(s)}, "\n")
		if v.said[key] == news {
			continue
		}
		v.said[key] = news
		parts := []string{fmt.Sprintf("%-*s", longest, b.name(key)), s.Phase, took(b, s, now), reason(s, now)}
		fmt.Fprintln(v.out, strings.Join(words(parts), "  "))
	}
}

func (v *lineView) end(b *board, now time.Time) { v.show(b, now) }

// took is how long it took a service to get into a phase that it stays in.
func took(b *board, s *steadpb.Service, now time.Time) string {
	switch {
	case replaced(s):
	case s.Phase == "ready", s.Phase == "completed", s.Phase == "stopped":
		if d := b.elapsed(s, now); d > 0 {
			return duration(d)
		}
	}
	return ""
}

func words(parts []string) []string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return kept
}

// liveView keeps one line per service on a terminal and writes over it: up
// by as many lines as were drawn, each line cleared to its end. When the
// terminal is made narrower in between, lines that wrap stay behind.
type liveView struct {
	out   io.Writer
	paint paint
	size  func() (columns, rows int)
	drawn int
}

func (v *liveView) show(b *board, now time.Time) {
	_, rows := v.size()
	keys := b.keys
	more := ""
	// Lines that have scrolled away cannot be written over: show what moves,
	// and count the rest.
	if room := max(1, rows-2); len(keys) > room {
		keys = b.all(moving)
		keys = keys[:min(len(keys), room)]
		more = fmt.Sprintf("… %d of %d are where they belong, %d failed", len(b.all(good)), len(b.keys), len(b.all(bad)))
	}
	v.draw(b, keys, more, now)
}

func (v *liveView) end(b *board, now time.Time) {
	v.draw(b, b.keys, "", now)
	v.drawn = 0
}

func (v *liveView) draw(b *board, keys []string, more string, now time.Time) {
	columns, _ := v.size()
	lines := layOut(liveRows(b, keys, now), columns-1, v.paint)
	if more != "" {
		lines = append(lines, v.paint.in(dim, cut(more, columns-1)))
	}
	var frame strings.Builder // one write, so that the terminal never shows half of it
	if v.drawn > 0 {
		fmt.Fprintf(&frame, "\x1b[%dA", v.drawn)
	}
	for _, line := range lines {
		frame.WriteString(line + "\x1b[K\n")
	}
	frame.WriteString("\x1b[J") // what is left of a longer frame
	v.drawn = len(lines)
	_, _ = io.WriteString(v.out, frame.String()) // a terminal that is gone sends HUP
}

func liveRows(b *board, keys []string, now time.Time) [][]cell {
	rows := make([][]cell, len(keys))
	for i, key := range keys {
		row := []cell{{b.name(key), plain}, {}, {}, {}}
		if s := b.seen[key]; s != nil {
			row[1] = cell{s.Phase, phaseColor(s.Phase)}
			if d := b.elapsed(s, now); d > 0 {
				row[2] = cell{duration(d.Truncate(10 * time.Millisecond)), dim}
			}
			row[3] = cell{reason(s, now), plain}
		}
		rows[i] = row
	}
	return rows
}
