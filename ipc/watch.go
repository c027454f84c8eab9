package ipc

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// watchInterval is the least time between two messages of a Watch: 60 a
// second, more than a person or a screen can see.
const watchInterval = time.Second / 60

// watchShare bounds what a Watch costs where there are many services: what
// took a while to find out is followed by so many times as long a pause, up
// to watchMost: the clock runs on while others have the processor, and an `up`
// that is done ends with the next message.
const (
	watchShare = 25
	watchMost  = 250 * time.Millisecond
)

// Watch sends the present, and then what changed. It keeps nothing for a slow
// reader but what was sent last: while Send waits, states go by unseen.
func (h handlers) Watch(ctx context.Context, req *steadpb.StatusRequest, stream steadpb.DaemonWatchServerStream) error {
	var v violations
	v.selection(req.GetSelection())
	if err := v.err(); err != nil {
		return err
	}
	began := time.Now()
	p := h.backend.Present()
	if _, err := resolve(p, req.GetSelection()); err != nil {
		return err
	}
	pace := time.NewTimer(watchInterval)
	defer pace.Stop()
	sent := watched{services: map[supervisor.Name]told{}}
	for first := true; ; first = false {
		out, changed := sent.update(p, req.GetSelection())
		pause := min(max(watchInterval, watchShare*time.Since(began)), watchMost)
		if first || changed {
			h.awaitRouted(ctx, p)
			if err := stream.Send(out); err != nil {
				return err
			}
			pace.Reset(pause)
		}
		if err := await(ctx, h.backend.Changed(p)); err != nil {
			return err
		}
		if err := await(ctx, pace.C); err != nil {
			return err
		}
		pace.Reset(pause)
		began = time.Now()
		p = h.backend.Present() // with a thousand services as much work as the update
	}
}

// awaitRouted comes before a reader is told of p: who hears that a service is
// ready may call it, whatever becomes of the daemon.
func (h handlers) awaitRouted(ctx context.Context, p *Present) {
	if r, ok := h.backend.(Router); ok {
		r.AwaitRouted(ctx, p.Sequence)
	}
}

// await waits for ready, and returns why ctx ended if that is first.
func await[T any](ctx context.Context, ready <-chan T) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watched is what a Watch has told its reader.
type watched struct {
	services map[supervisor.Name]told
	problem  string
	notes    []string
}

// told is what was said of a service, and what that was made of.
type told struct {
	view    *steadpb.Service
	of      *supervisor.Service
	project Project
	wrong   []runtime.Diagnostic
}

// holds reports whether what was told is still so, without making it anew:
// most services have not changed. What a service waits for depends on others,
// so one that is pending is always looked at.
func (t told) holds(p *Present, n supervisor.Name) bool {
	return t.view != nil && t.view.Phase != string(supervisor.PhasePending) &&
		t.project == p.Projects[n.Project] && t.of == p.State.Services[n] && same(t.wrong, p.Diagnostics[n])
}

// same tells lists apart that are replaced when anything in them changes.
func same(a, b []runtime.Diagnostic) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// update takes p for told, and returns what is new in it and whether anything
// is.
func (w *watched) update(p *Present, sel *steadpb.Selection) (*steadpb.StatusResponse, bool) {
	names := stillChosen(p, sel)
	out := &steadpb.StatusResponse{DaemonProblem: valid(p.Problem), Notes: notes(p, names)}
	now := make(map[supervisor.Name]told, len(names))
	for _, n := range names {
		before := w.services[n]
		if before.holds(p, n) {
			now[n] = before
			continue
		}
		view := serviceView(p, n)
		if proto.Equal(view, before.view) {
			view = before.view
		} else {
			out.Services = append(out.Services, view)
		}
		now[n] = told{view, p.State.Services[n], p.Projects[n.Project], p.Diagnostics[n]}
	}
	for n, before := range w.services {
		if _, ok := now[n]; !ok {
			out.Removed = append(out.Removed, before.view.GetProject()+"/"+n.Service)
		}
	}
	slices.Sort(out.Removed)
	changed := len(out.Services) > 0 || len(out.Removed) > 0 || out.DaemonProblem != w.problem || !slices.Equal(out.Notes, w.notes)
	w.services, w.problem, w.notes = now, out.DaemonProblem, out.Notes
	return out, changed
}
