package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/steadpb"
)

// printer writes log lines. It belongs to one goroutine.
//
// On a terminal lines are shown for people. Elsewhere they are as they were
// written, but for escape sequences; so tools see what the service wrote.
type printer struct {
	out     io.Writer
	paint   paint
	bare    bool // no prefix
	raw     bool // not even escape sequences are taken off
	pretty  bool // for people
	json    bool
	several bool // of more than one project
	longest int  // name, in cells
	levels  *levelFilter
	last    *lastOnes
}

// newPrinter returns a printer that aligns the names given.
func newPrinter(c *cli, names []string) *printer {
	p := &printer{out: c.out, paint: c.paint(c.out)}
	_, p.pretty = terminal(c.out)
	for _, name := range names {
		p.longest = max(p.longest, utf8.RuneCountInString(name))
	}
	return p
}

// printLogs prints what request selects. Following outlives a daemon that was
// killed: it is brought back, and what was written meanwhile follows.
func (c *cli) printLogs(ctx context.Context, client steadpb.DaemonClient, request *steadpb.LogsRequest, p *printer) error {
	var at position
	for {
		err := c.printStream(ctx, client, request, p, &at)
		if !request.Follow || err == nil {
			return err
		}
		if client, err = c.successor(ctx, err); err != nil {
			return err
		}
		request = at.after(request)
	}
}

// printStream prints one stream. What came in one message is written at once:
// a thousand lines are not a thousand system calls.
func (c *cli) printStream(ctx context.Context, client steadpb.DaemonClient, request *steadpb.LogsRequest, p *printer, at *position) error {
	stream, err := client.Logs(ctx, request)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(p.out, 64<<10) // remembers its first error
	lines := ipc.NewLines(func(line ipc.Line) { p.print(out, line) })
	err = each(stream, func(message *steadpb.LogsResponse) error {
		for _, block := range message.Blocks {
			if at.pass(block) {
				lines.Add(block)
			}
		}
		return out.Flush()
	})
	lines.Flush()
	if p.last != nil {
		for _, text := range p.last.lines() {
			_, _ = out.WriteString(text)
		}
	}
	return errors.Join(err, out.Flush())
}

func (p *printer) print(out *bufio.Writer, line ipc.Line) {
	if p.levels == nil && p.last == nil {
		p.write(out, line)
		return
	}
	if p.levels != nil && line.Gap == 0 { // a loss is always told
		text := withoutANSI(line.Text)
		record, _ := ipc.ParseRecord(text)
		if line.Stream == "stead" {
			record.Level = ipc.LevelInfo
		}
		if !p.levels.pass(line, text, record.Level) {
			return
		}
	}
	if p.last == nil {
		p.write(out, line)
		return
	}
	var kept bytes.Buffer
	one := bufio.NewWriter(&kept)
	p.write(one, line)
	_ = one.Flush() // a buffer never fails
	p.last.add(line, kept.String())
}

// write writes one line as it is to be seen. out keeps its first error.
func (p *printer) write(out *bufio.Writer, line ipc.Line) {
	if p.json {
		p.writeJSON(out, line)
		return
	}
	if !p.bare {
		p.writePrefix(out, line)
	}
	switch {
	case line.Gap > 0:
		_, _ = out.WriteString(p.paint.in(dim, "[stead] "+lostText(line.Gap)))
	case line.Stream == "stead":
		_, _ = out.WriteString(p.paint.in(dim, "[stead] "+forTerminal(line.Text, false)))
	case p.raw:
		_, _ = out.Write(line.Text)
	case p.pretty:
		_, _ = out.WriteString(p.shown(line))
	default:
		_, _ = out.Write(withoutANSI(line.Text))
	}
	_ = out.WriteByte('\n')
}

func (p *printer) writePrefix(out *bufio.Writer, line ipc.Line) {
	name := line.Service
	if p.several {
		name = line.Project + "/" + line.Service
	}
	space := strings.Repeat(" ", max(0, p.longest-utf8.RuneCountInString(name)))
	_, _ = out.WriteString(p.paint.in(serviceColor(name), name+space+" |") + " ")
}

// shown is a line for people.
func (p *printer) shown(line ipc.Line) string {
	if record, ok := ipc.ParseRecord(withoutANSI(line.Text)); ok {
		return p.paint.pretty(record, line.Time)
	}
	return forTerminal(line.Text, bool(p.paint))
}

func (p *printer) writeJSON(out *bufio.Writer, line ipc.Line) {
	shape := lineShape{Project: line.Project, Service: line.Service, Instance: line.Instance, Stream: line.Stream}
	if line.Gap > 0 {
		shape.Stream, shape.Text, shape.Lost = "stead", lostText(line.Gap), line.Gap
	} else {
		text := bytes.ToValidUTF8(withoutANSI(line.Text), []byte("\uFFFD"))
		shape.Text = string(text)
		shape.read(text)
	}
	if known(line.Time) {
		shape.Time = &line.Time
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(shape) // strings and times can be encoded
}

type lineShape struct {
	Time     *time.Time `json:"time"`
	Project  string     `json:"project"`
	Service  string     `json:"service"`
	Instance string     `json:"instance"` // generation/replica/attempt; empty when not known
	Stream   string     `json:"stream"`
	Text     string     `json:"text"`
	Lost     int64      `json:"lost,omitempty"`      // so many bytes are missing; Text says so
	Level    string     `json:"level,omitempty"`     // when the line shows one
	LoggedAt *time.Time `json:"logged_at,omitempty"` // these three of structured lines
	Message  string     `json:"message,omitempty"`
	Fields   fieldsJSON `json:"fields,omitempty"`
}

// read adds what the line says of itself.
func (s *lineShape) read(text []byte) {
	record, _ := ipc.ParseRecord(text)
	s.Level, s.Message, s.Fields = record.Level.String(), record.Message, record.Fields
	if !record.Time.IsZero() {
		s.LoggedAt = &record.Time
	}
}

// fieldsJSON is an object whose keys keep their order; of two that are the
// same the first is taken.
type fieldsJSON []ipc.Field

// MarshalJSON writes JSON's values as they are, and others as strings.
func (f fieldsJSON) MarshalJSON() ([]byte, error) {
	seen := map[string]bool{}
	out := []byte{'{'}
	for _, field := range f {
		if seen[field.Key] {
			continue
		}
		seen[field.Key] = true
		if len(out) > 1 {
			out = append(out, ',')
		}
		key, err := json.Marshal(field.Key)
		if err != nil {
			return nil, err
		}
		value := []byte(field.JSON)
		if value == nil {
			if value, err = json.Marshal(field.Value); err != nil {
				return nil, err
			}
		}
		out = append(append(append(out, key...), ':'), value...)
	}
	return append(out, '}'), nil
}
