package ipc

import (
	"context"
	"strings"
	"time"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// whyLines is how much of a service's output is evidence: the reason is nearly
// always in the last lines.
const whyLines = 10

// Why explains one service.
func (h handlers) Why(ctx context.Context, req *steadpb.WhyRequest) (*steadpb.WhyResponse, error) {
	var v violations
	v.selection(req.GetSelection())
	if len(req.GetSelection().GetServices()) != 1 {
		v.add("selection.services: want one service, got %d", len(req.GetSelection().GetServices()))
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	p := h.backend.Present()
	c, err := resolve(p, req.GetSelection())
	if err != nil {
		return nil, err
	}
	name, err := c.one()
	if err != nil {
		return nil, err
	}
	e := explain(p, name, time.Now())
	e.ofHalted(p.State.Service(e.root), haltedOf(p.State.Service(e.root), h.halted(ctx, p, []supervisor.Name{e.root})))
	var output []string
	if !moves(e.kind) && e.kind != "down" {
		output = h.lastOutput(ctx, e.root)
	}
	if service, ok := p.State.Services[e.root]; ok {
		h.missesVariable(ctx, &e, service.Why(), output)
	}
	out := &steadpb.WhyResponse{
		Project: valid(shownProject(p, name.Project)), Service: name.Service, Phase: string(p.State.Service(name).Phase()),
		Summary: valid(e.summary), Kind: e.kind, Chain: e.chain, Hint: valid(e.hint),
		Cause: valid(e.cause), Output: output,
	}
	out.Diagnostics, _ = serviceDiagnostics(p, e.root)
	for _, line := range e.evidence {
		out.Evidence = append(out.Evidence, valid(line))
	}
	return out, nil
}

// lastOutput returns the last lines that a service wrote. Without them an
// explanation is poorer, no more.
func (h handlers) lastOutput(ctx context.Context, name supervisor.Name) []string {
	var text strings.Builder
	query := runtime.LogQuery{Environment: name.Environment, Project: name.Project, Service: name.Service, Last: whyLines}
	_ = h.backend.Logs(ctx, query, func(b runtime.LogBlock) error {
		if b.Stream != runtime.StreamRuntime { // stead's own words are in the summary
			text.Write(b.Data)
		}
		return nil
	})
	var lines []string
	for line := range strings.Lines(text.String()) {
		lines = append(lines, valid(strings.TrimRight(line, "\r\n")))
	}
	return lines[max(0, len(lines)-whyLines):]
}
