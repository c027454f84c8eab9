package fake

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// Write appends to the log of a live instance's service, as it would.
func (r *Runtime) Write(id runtime.InstanceID, output string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, _ := r.find(id)
	if g == nil {
		return fmt.Errorf("instance %s: %w", id, runtime.NotFound)
	}
	r.write(g.spec, id, output)
	return nil
}

// write is called with mu held.
func (r *Runtime) write(spec runtime.Spec, id runtime.InstanceID, output string) {
	block := runtime.LogBlock{
		Service: logOf(spec), Instance: id, Stream: runtime.StreamStdout, Time: time.Now(), Data: []byte(output),
	}
	for _, b := range r.blocks {
		if sameLog(b, id.ID.Environment, id.ID.Project, block.Service) {
			block.Offset = b.Offset + int64(len(b.Data))
		}
	}
	r.blocks = append(r.blocks, block)
	close(r.grown)
	r.grown = make(chan struct{})
}

func logOf(s runtime.Spec) string {
	if s.Log != "" {
		return s.Log
	}
	return s.ID.Service
}

func sameLog(b runtime.LogBlock, environment, project, service string) bool {
	return b.Service == service && b.Instance.ID.Environment == environment && b.Instance.ID.Project == project
}

// Logs implements runtime.Runtime.
func (r *Runtime) Logs(ctx context.Context, q runtime.LogQuery, fn func(runtime.LogBlock) error) error {
	match, err := regexp.Compile(q.Match)
	if err != nil {
		return fmt.Errorf("log of %s: match %q: %w: %w", q.Service, q.Match, err, runtime.Invalid)
	}
	read := 0
	for first := true; ; first = false {
		r.mu.Lock()
		blocks, grown := slices.Clone(r.blocks[read:]), r.grown
		read = len(r.blocks)
		known := r.heardOf(q)
		r.mu.Unlock()
		if !known {
			return fmt.Errorf("log of %s: %w", q.Service, runtime.NotFound)
		}
		blocks = slices.DeleteFunc(blocks, func(b runtime.LogBlock) bool { return !matches(q, b) })
		if q.Match != "" {
			blocks = matching(match, blocks)
		}
		if first && q.Last > 0 {
			blocks = last(blocks, q.Last)
		}
		for _, b := range blocks {
			if err := fn(b); err != nil {
				return err
			}
		}
		if !q.Follow && q.Match != "" {
			return fn(r.end(q))
		}
		if !q.Follow {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// heardOf is called with mu held.
func (r *Runtime) heardOf(q runtime.LogQuery) bool {
	for _, g := range r.generations {
		id := g.spec.ID
		if logOf(g.spec) == q.Service && id.Environment == q.Environment && id.Project == q.Project {
			return true
		}
	}
	return slices.ContainsFunc(r.blocks, func(b runtime.LogBlock) bool {
		return sameLog(b, q.Environment, q.Project, q.Service)
	})
}

func matches(q runtime.LogQuery, b runtime.LogBlock) bool {
	return sameLog(b, q.Environment, q.Project, q.Service) &&
		(q.Stream == runtime.StreamUnknown || q.Stream == b.Stream) &&
		(q.Generation == 0 || q.Generation == b.Instance.ID.Number) &&
		(q.Since.IsZero() || !b.Time.Before(q.Since)) &&
		(q.Until.IsZero() || b.Time.Before(q.Until)) &&
		b.Offset+int64(len(b.Data)) > q.Offset
}

// matching keeps the lines that match, each in a block of its own. Unlike a
// real runtime the fake does not join what was written in pieces.
func matching(expr *regexp.Regexp, blocks []runtime.LogBlock) []runtime.LogBlock {
	var out []runtime.LogBlock
	for _, b := range blocks {
		offset := b.Offset
		for line := range bytes.Lines(b.Data) {
			if one := b; expr.Match(bytes.TrimRight(line, "\r\n")) {
				one.Offset, one.Data = offset, line
				out = append(out, one)
			}
			offset += int64(len(line))
		}
	}
	return out
}

// end is the block that says how far a log was read.
func (r *Runtime) end(q runtime.LogQuery) runtime.LogBlock {
	r.mu.Lock()
	defer r.mu.Unlock()
	block := runtime.LogBlock{Service: q.Service, Time: time.Now(), Stream: runtime.StreamRuntime}
	for _, b := range r.blocks {
		if sameLog(b, q.Environment, q.Project, q.Service) {
			block.Offset = b.Offset + int64(len(b.Data))
		}
	}
	return block
}

// last keeps the last n lines.
func last(blocks []runtime.LogBlock, n int) []runtime.LogBlock {
	for i := len(blocks) - 1; i >= 0; i-- {
		lines := bytes.SplitAfter(bytes.TrimSuffix(blocks[i].Data, []byte("\n")), []byte("\n"))
		if len(lines) < n {
			n -= len(lines)
			continue
		}
		b := blocks[i]
		skip := len(bytes.Join(lines[:len(lines)-n], nil))
		b.Offset, b.Data = b.Offset+int64(skip), b.Data[skip:]
		return append([]runtime.LogBlock{b}, blocks[i+1:]...)
	}
	return blocks
}
