package main

import (
	"bufio"
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
type printer struct {
	out     io.Writer
	paint   paint
	bare    bool // no prefix
	json    bool
	several bool // of more than one project
	longest int  // name, in cells
}

// newPrinter returns a printer that aligns the names given.
func newPrinter(c *cli, names []string) *printer {
	p := &printer{out: c.out, paint: c.paint(c.out)}
	for _, name := range names {
		p.longest = max(p.longest, utf8.RuneCountInString(name))
	}
	return p
}

// printLogs prints what request selects. What came in one message is written
// at once: a thousand lines are not a thousand system calls.
func (c *cli) printLogs(ctx context.Context, client steadpb.DaemonClient, request *steadpb.LogsRequest, p *printer) error {
	stream, err := client.Logs(ctx, request)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(p.out, 64<<10) // remembers its first error
	lines := ipc.NewLines(func(line ipc.Line) { p.print(out, line) })
	err = each(stream, func(message *steadpb.LogsResponse) error {
		for _, block := range message.Blocks {
			lines.Add(block)
		}
		return out.Flush()
	})
	lines.Flush()
	return errors.Join(err, out.Flush())
}

func (p *printer) print(out *bufio.Writer, line ipc.Line) {
	text, stream := string(line.Text), line.Stream
	if line.Gap > 0 {
		text, stream = lostText(line.Gap), "stead"
	}
	if p.json {
		p.printJSON(out, line, stream, text)
		return
	}
	if !p.bare {
		name := line.Service
		if p.several {
			name = line.Project + "/" + line.Service
		}
		color := serviceColor(name)
		_, _ = out.WriteString(p.paint.in(color, name+strings.Repeat(" ", max(0, p.longest-utf8.RuneCountInString(name)))+" |") + " ")
	}
	if stream == "stead" {
		text = p.paint.in(dim, "[stead] "+text)
	}
	_, _ = out.WriteString(text + "\n")
}

func (p *printer) printJSON(out *bufio.Writer, line ipc.Line, stream, text string) {
	shape := lineShape{Project: line.Project, Service: line.Service, Instance: line.Instance, Stream: stream, Text: text}
	if !line.Time.IsZero() && line.Time.Unix() != 0 { // unknown, after a crash
		shape.Time = &line.Time
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(shape) // strings and a time can be encoded; out keeps its error
}

type lineShape struct {
	Time     *time.Time `json:"time"`
	Project  string     `json:"project"`
	Service  string     `json:"service"`
	Instance string     `json:"instance"` // generation/replica/attempt; empty when not known
	Stream   string     `json:"stream"`
	Text     string     `json:"text"`
}
