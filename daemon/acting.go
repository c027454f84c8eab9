package daemon

import (
	"context"
	"time"

	"github.com/stead-dev/stead/supervisor"
)

// The watcher is told when reloads because of saves begin and end, so that it
// can tell what services and builds write from what people save.

// acting is a reload because of a save that is under way.
type acting struct {
	last  uint64 // generation before it
	done  func(at time.Time)
	ended time.Time // it is over, but for what the service writes first
}

// lingerFor is how long a service that is ready as soon as it runs counts as
// being started: nothing else says when it has read, and written, its files.
const lingerFor = 500 * time.Millisecond

// tell has services reloaded. Each is a reload of its own to the watcher, also
// when the one before is not over.
func (o *saves) tell(ctx context.Context, names []supervisor.Name, text string) {
	p := o.d.Present()
	if p.State.Observing {
		return // another daemon drives: a save here is none of its business
	}
	for _, name := range names {
		if s := p.State.Service(name); s.Want.Up && !s.Asleep {
			before, is := o.acting[name]
			o.acting[name] = acting{last: s.Last, done: o.watcher.Acting(name.Project)}
			if is {
				before.done(time.Now())
			}
		}
	}
	o.reload(ctx, names, text)
}

// settle ends what the watcher takes for the time of a reload.
func (o *saves) settle(s *supervisor.Service) {
	a, is := o.acting[s.Name]
	stays := s.Plan.Reload == supervisor.ReloadSignal || s.Plan.Reload == supervisor.ReloadNone
	if !is || !a.ended.IsZero() || s.Last <= a.last && s.Want.Up && !stays || comesUp(*s) {
		return
	}
	if s.Want.Up && !stays && o.readyAtOnce(s.Name) {
		a.ended = time.Now()
		o.acting[s.Name] = a
		return
	}
	at := time.Now()
	if g, ok := s.Current(); ok && g.Phase == supervisor.PhaseReady {
		at = g.Since // as the runtime has seen it: what is saved after that is no output
	}
	a.done(at)
	delete(o.acting, s.Name)
}

// readyAtOnce reports whether nothing but its running makes a service ready.
func (o *saves) readyAtOnce(name supervisor.Name) bool {
	w := o.projects[name.Project]
	return w != nil && w.parts[name.Service] != nil && w.parts[name.Service].service.Spec.Ready == nil
}

// linger ends the reloads that have been over for long enough.
func (o *saves) linger(now time.Time) {
	for name, a := range o.acting {
		if !a.ended.IsZero() && now.Sub(a.ended) >= lingerFor {
			a.done(now)
			delete(o.acting, name)
		}
	}
}
