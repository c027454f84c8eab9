package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// What runs elsewhere may be changed by one daemon at a time: the one that
// drives. Others observe (supervisor.State.Observing), and begin to drive when
// their user asks for something that changes anything.

// errDriver ends a Watch to attach anew: the runtime is there, and the part
// that this daemon plays is another.
var errDriver = errors.New("another daemon drives now")

// observes reports whether somebody else drives, or nobody does.
func (dr *draft) observes() bool { return dr.driver != nil && !dr.driver.Self }

func observing(who runtime.Driver, environment string) string {
	if who.Name == "" {
		return "nobody drives " + environment + ": what is shown is what is there, and `stead --env " + environment + " up` takes it over"
	}
	return environment + " is driven by " + who.String() + ": nothing is changed from here"
}

// surely returns what is called with each event. A runtime knows who drives
// when it has the first: had it not known when it described itself, or said
// something else, it is to be attached anew.
func (l *link) surely(ctx context.Context, told runtime.Description) func() error {
	sure := false
	return func() error {
		if sure {
			return nil
		}
		now, err := l.Describe(ctx, runtime.ContractVersion)
		if err != nil {
			return err
		}
		sure = true
		if observer(now) != observer(told) {
			return errDriver
		}
		return nil
	}
}

func observer(d runtime.Description) bool { return d.Driver != nil && !d.Driver.Self }

// drives reports whether a daemon knows what there is, and decides about it.
func drives(p *Present) bool { return p.State.Synced && !p.State.Observing }

// meet makes a project known that another daemon drives, so that what there is
// of it can be asked for by its name.
func (d *Daemon) meet(ctx context.Context, p Project) error {
	if _, known := d.Present().Projects[p.ID]; known {
		return nil
	}
	return d.submit(ctx, func(dr *draft) error {
		p.Shown = shownName(p, dr.projects)
		dr.setProject(p)
		return nil
	})
}

// leadLimit bounds how long it takes to learn the present anew.
const leadLimit = 30 * time.Second

// lead makes this daemon the one that drives, and returns when it knows what
// there is. Where another does that is Conflict, unless it is to be taken over.
func (d *Daemon) lead(ctx context.Context, over bool) error {
	if d.environment == Local {
		return nil
	}
	if err := d.obtain(ctx, over); err != nil {
		return err
	}
	patience := time.NewTimer(leadLimit)
	defer patience.Stop()
	for {
		p := d.Present()
		if drives(p) {
			return nil
		}
		if again := d.again.Load(); again != nil && p.State.Observing {
			(*again)(errDriver) // what it plays now, it says when it is attached
		}
		select {
		case <-p.Newer():
		case <-ctx.Done():
			return ctx.Err()
		case <-d.ended:
			return errEnding
		case <-patience.C:
			return runtime.WithHint(wrapClass("what runs in "+d.environment+" is not known: "+p.Problem, runtime.Unavailable), "try again")
		}
	}
}

// obtain asks the runtime for the lead. One that is attached anew meanwhile,
// as it is when it learns who drives, is asked again.
func (d *Daemon) obtain(ctx context.Context, over bool) error {
	for {
		l, err := d.runtime(ctx)
		if err != nil {
			return err
		}
		leader, ok := l.Link.(runtime.Leader)
		if who := l.description.Driver; !ok || !over && who != nil && who.Self && drives(d.Present()) {
			return nil
		}
		if err = leader.Lead(ctx, over); err == nil || ctx.Err() != nil || d.link.Load() == l {
			return err
		}
	}
}
