package daemon

import (
	"context"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// release reloads what a debugger has let go of.
func (o *saves) release(ctx context.Context) {
	for name, text := range o.halted {
		if o.d.haltedBy(ctx, name) == "" {
			delete(o.halted, name)
			o.tell(ctx, []supervisor.Name{name}, text)
		}
	}
}

// inspectLimit bounds how long a save waits for the runtime's word.
const inspectLimit = time.Second

// A look is as good as another for lookFresh, and one is worth while before it
// is known what was saved where a project has lookMost services at most.
const (
	lookFresh = 100 * time.Millisecond
	lookMost  = 20
)

// look is what the runtime says of who is in a debugger. It is begun while files
// are still being written: the answer is there when they have come to rest.
type look struct {
	began time.Time
	done  chan struct{}
	by    map[supervisor.Name]string // once done is closed
}

func (o *saves) look(ctx context.Context, project string) {
	w, ok := o.projects[project]
	if !ok || len(w.parts) > lookMost || time.Since(o.looks[project].began) < lookFresh/2 {
		return
	}
	l := look{began: time.Now(), done: make(chan struct{}), by: map[supervisor.Name]string{}}
	o.looks[project] = l
	var ids []supervisor.ID
	state := o.d.Present().State
	for service := range w.parts {
		ids = append(ids, idsOf(state.Service(o.d.name(project, service)))...)
	}
	o.finders.Go(func() { // ends with inspectLimit, or ctx
		defer close(l.done)
		ctx, cancel := context.WithTimeout(ctx, inspectLimit)
		defer cancel()
		for _, one := range o.d.Inspect(ctx, ids) {
			if one.Halted != "" {
				id := one.Instance.ID
				l.by[o.d.name(id.Project, id.Service)] = one.Halted
			}
		}
	})
}

// haltedBy is Daemon.haltedBy, or what was found out a moment ago.
func (o *saves) haltedBy(ctx context.Context, name supervisor.Name) string {
	l, ok := o.looks[name.Project]
	if !ok || time.Since(l.began) > lookFresh {
		return o.d.haltedBy(ctx, name)
	}
	<-l.done
	return l.by[name]
}

// haltedBy says who holds an instance of a service: "traced by dlv (pid 41)".
func (d *Daemon) haltedBy(ctx context.Context, name supervisor.Name) string {
	ids := idsOf(d.Present().State.Service(name))
	ctx, cancel := context.WithTimeout(ctx, inspectLimit)
	defer cancel()
	for _, one := range d.Inspect(ctx, ids) {
		if one.Halted != "" {
			return one.Halted
		}
	}
	return ""
}

func idsOf(s supervisor.Service) []supervisor.ID {
	var ids []supervisor.ID
	for i := range s.Generations {
		ids = append(ids, supervisor.ID{Name: s.Name, Number: s.Generations[i].Number})
	}
	return ids
}

// Inspect asks the runtime which instances of generations stand still. One
// that cannot look, or does not answer before ctx ends, says nothing.
func (d *Daemon) Inspect(ctx context.Context, ids []supervisor.ID) []runtime.Inspection {
	l := d.link.Load()
	if l == nil || len(ids) == 0 {
		return nil
	}
	asked := make([]runtime.ID, len(ids))
	for i, id := range ids {
		asked[i] = runtimeID(id)
	}
	seen, err := l.Inspect(ctx, asked)
	if err != nil {
		return nil
	}
	return seen
}
