package ipc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// Events sends what happened, and with follow what happens.
func (h handlers) Events(ctx context.Context, req *steadpb.EventsRequest, stream steadpb.DaemonEventsServerStream) error {
	var v violations
	v.selection(req.GetSelection())
	v.atLeastZero("last", int64(req.GetLast()))
	if err := v.err(); err != nil {
		return err
	}
	c, err := resolve(h.backend.Present(), req.GetSelection())
	if err != nil {
		return err
	}
	send := func(events []Event) error {
		if views := h.eventViews(c, events); len(views) > 0 {
			return stream.Send(&steadpb.EventsResponse{Events: views})
		}
		return nil
	}
	after := uint64(0)
	if req.GetLast() > 0 {
		if after, err = h.lastEvents(ctx, int(req.GetLast()), c, send); err != nil || !req.GetFollow() {
			return err
		}
	} else if req.GetFollow() {
		// Headers now: nothing may happen for long, and the client wants to know that it follows.
		if err := stream.SendHeaders(); err != nil {
			return err
		}
	}
	return h.backend.Events(ctx, after, req.GetFollow(), send)
}

// lastEvents sends the last n events that c means, and returns the sequence
// from which to go on.
func (h handlers) lastEvents(ctx context.Context, n int, c chosen, send func([]Event) error) (uint64, error) {
	var kept []Event
	var newest uint64
	err := h.backend.Events(ctx, 0, false, func(events []Event) error {
		for _, e := range events {
			newest = max(newest, e.Sequence)
			if !meant(c, e) {
				continue
			}
			if len(kept) == 2*n { // moves each event once at most
				kept = append(kept[:0], kept[n:]...)
			}
			kept = append(kept, e)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return newest, send(kept[max(0, len(kept)-n):])
}

// meant reports whether c asks for e. Where events are missing concerns everybody.
func meant(c chosen, e Event) bool {
	if e.Kind == EventGap || e.Project == "" {
		return e.Kind == EventGap || c.all && c.project == nil
	}
	if e.Service == "" { // of the project as a whole
		return c.project != nil && c.project.ID == e.Project || c.all && c.project == nil
	}
	return c.contains(e.Project, e.Service)
}

func (h handlers) eventViews(c chosen, events []Event) []*steadpb.Event {
	p := h.backend.Present()
	var out []*steadpb.Event
	for _, e := range events {
		if !meant(c, e) {
			continue
		}
		out = append(out, &steadpb.Event{
			Sequence:   e.Sequence,
			Time:       timestamppb.New(e.Time),
			Project:    valid(shownProject(p, e.Project)),
			ProjectId:  valid(e.Project),
			Service:    e.Service,
			Generation: e.Generation,
			Instance:   e.Instance,
			Kind:       string(e.Kind),
			Text:       valid(e.Text),
		})
	}
	return out
}
