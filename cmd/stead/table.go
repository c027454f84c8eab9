package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// cell is a piece of text of one colour.
type cell struct {
	text  string
	color color
}

// statusTable lays out what status shows. The last column takes what is left
// of width; 0 is no limit.
func statusTable(services []*steadpb.Service, now time.Time, width int, p paint) []string {
	if len(services) == 0 {
		return []string{"no services"}
	}
	header := []string{"SERVICE", "PHASE", "GEN", "RESTARTS", "PID", "UPTIME", "URL/CAUSE"}
	withProject := several(services)
	if withProject {
		header = append([]string{"PROJECT"}, header...)
	}
	rows := [][]cell{plainCells(header)}
	for _, s := range services {
		row := statusRow(s, now)
		if withProject {
			row = append([]cell{{s.Project, plain}}, row...)
		}
		rows = append(rows, row)
	}
	return layOut(rows, width, p)
}

func statusRow(s *steadpb.Service, now time.Time) []cell {
	return []cell{
		{s.Name, plain},
		{s.Phase, phaseColor(s.Phase)},
		{generations(s), plain},
		{fmt.Sprint(s.Restarts), plain},
		{pids(s), plain},
		{uptime(s, now), plain},
		{reason(s, now), plain},
	}
}

// replaced reports whether another generation is to take the place of the
// one that is shown.
func replaced(s *steadpb.Service) bool { return s.Generation != 0 && s.NextGeneration > s.Generation }

// generations is "7", or "7>8" while 8 is to replace 7.
func generations(s *steadpb.Service) string {
	switch {
	case replaced(s):
		return fmt.Sprintf("%d>%d", s.Generation, s.NextGeneration)
	case s.Generation == 0 && s.NextGeneration == 0:
		return "-"
	}
	return fmt.Sprint(max(s.Generation, s.NextGeneration))
}

// pids is the first process, and how many more there are.
func pids(s *steadpb.Service) string {
	text, more := "-", 0
	for _, i := range s.Instances {
		switch {
		case i.Pid == 0 || i.Exit != "":
		case text == "-":
			text = fmt.Sprint(i.Pid)
		default:
			more++
		}
	}
	if more > 0 {
		return fmt.Sprintf("%s+%d", text, more)
	}
	return text
}

// uptime is how long it has been ready.
func uptime(s *steadpb.Service, now time.Time) string {
	if !s.Ready || s.Since == nil {
		return "-"
	}
	d := now.Sub(s.Since.AsTime())
	if d < time.Minute {
		return fmt.Sprintf("%ds", max(0, int(d.Seconds()))) // hundredths would only flicker
	}
	return duration(d)
}

// reason is the one thing most worth knowing: why it is not as wanted, else
// where it is reached.
func reason(s *steadpb.Service, now time.Time) string {
	var parts []string
	switch {
	case s.Phase == "pending" && len(s.WaitsFor) > 0:
		parts = append(parts, "waits for "+strings.Join(s.WaitsFor, ", "))
	case s.CauseKind == "asleep":
		parts = append(slices.Clone(s.Urls), s.Cause)
	case s.Want == "up" && s.Cause != "":
		parts = append(parts, s.Cause)
	case replaced(s):
		parts = append(parts, fmt.Sprintf("generation %d is on its way", s.NextGeneration))
	case s.Ready:
		parts = says(s)
		if len(s.Urls) > 0 {
			parts = append([]string{strings.Join(s.Urls, " ")}, parts...)
		}
	case s.Phase == "failed":
		parts = append(parts, s.Cause)
	}
	if s.Halted != "" {
		parts = append(parts, s.Halted)
	}
	if s.Phase == "backoff" && s.Until != nil {
		parts = append(parts, "next start in "+duration(s.Until.AsTime().Sub(now)))
	}
	return strings.Join(parts, "; ")
}

// says is what the instances of a service say of themselves, each text once.
func says(s *steadpb.Service) []string {
	var texts []string
	for _, i := range s.Instances {
		if i.Exit == "" && i.Detail != "" && !slices.Contains(texts, i.Detail) {
			texts = append(texts, i.Detail)
		}
	}
	return texts
}

func plainCells(words []string) []cell {
	cells := make([]cell, len(words))
	for i, word := range words {
		cells[i] = cell{word, plain}
	}
	return cells
}

// layOut aligns the columns of rows, two spaces apart, and cuts each line to
// width cells.
func layOut(rows [][]cell, width int, p paint) []string {
	widths := map[int]int{}
	for _, row := range rows {
		for i, one := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(one.text))
		}
	}
	lines := make([]string, len(rows))
	for n, row := range rows {
		lines[n] = layLine(row, widths, width, p)
	}
	return lines
}

func layLine(row []cell, widths map[int]int, width int, p paint) string {
	var line strings.Builder
	used, owed := 0, 0 // cells written, and spaces due before the next text
	for i, one := range row {
		length := utf8.RuneCountInString(one.text)
		if length > 0 {
			room := width - used - owed
			if width > 0 && room <= 0 {
				break
			}
			text := one.text
			if width > 0 {
				text = cut(text, room)
			}
			line.WriteString(strings.Repeat(" ", owed) + p.in(one.color, text))
			used += owed + utf8.RuneCountInString(text)
			owed = 0
		}
		owed += widths[i] - length + 2
	}
	return line.String()
}
