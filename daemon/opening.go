package daemon

import (
	"context"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// opening is what starts wait for: a runtime that has not been told yet which
// numbers are published, or listened on by a service itself, could give one of
// them to a generation as a private port. It belongs to the loop.
type opening struct {
	link    *link         // that the rest is about
	applied uint64        // Present.Applied whose numbers are to be declared
	until   time.Time     // doors that do not open hold nothing up for longer
	over    chan struct{} // closed when they were declared; nil: nothing is waited for
}

// opens begins to wait until l has been told the numbers of what is applied.
func (d *Daemon) opens(l *link, now time.Time) {
	o := &d.opening
	if o.over == nil {
		o.over = make(chan struct{})
	}
	o.link, o.applied, o.until = l, d.applied, now.Add(openLimit)
}

// declared ends that: l has been told those of applied.
func (d *Daemon) declared(l *link, applied uint64) {
	o := &d.opening
	if l != d.link.Load() {
		return // it is gone
	}
	if o.link = l; o.over != nil && applied >= o.applied {
		close(o.over)
		o.over = nil
	}
}

// beforeStart returns what a start has to wait for, or nil.
func (d *Daemon) beforeStart(ctx context.Context, spec runtime.Spec, now time.Time) (wait func()) {
	l := d.link.Load()
	if d.gateways == nil || l == nil || !l.can(runtime.CapabilitySockets) || !slices.ContainsFunc(spec.Ports, isPrivate) {
		return nil
	}
	if d.opening.link != l {
		d.opens(l, now)
	}
	o := d.opening
	if o.over == nil || !now.Before(o.until) {
		return nil
	}
	return func() {
		limit := time.NewTimer(time.Until(o.until))
		defer limit.Stop()
		select {
		case <-o.over:
		case <-limit.C:
		case <-ctx.Done():
		}
	}
}

func isPrivate(p runtime.Port) bool { return p.Number == 0 }

// numbers are those that services of a project listen on by themselves or are
// published at, whether they are up or not: nobody is to be given one of them
// in the meantime.
func (p Project) numbers(into map[int]bool) {
	for _, s := range p.Services {
		for _, port := range s.Published {
			into[port.Number] = true
		}
		for _, port := range s.Spec.Ports {
			if !isPrivate(port) {
				into[port.Number] = true
			}
		}
	}
}

// numbersOf are those of all projects.
func numbersOf(projects map[string]Project) map[int]bool {
	all := map[int]bool{}
	for _, p := range projects {
		p.numbers(all)
	}
	delete(all, 0) // none was chosen
	return all
}

// newNumbers reports whether projects have numbers that others have not.
func newNumbers(before, now map[string]Project) bool {
	had := numbersOf(before)
	for number := range numbersOf(now) {
		if !had[number] {
			return true
		}
	}
	return false
}

// reservations have the runtime give none of numbers out as a private port.
func reservations(numbers []int) []runtime.Socket {
	var all []runtime.Socket
	for _, number := range numbers {
		s := socketAt(net.JoinHostPort("127.0.0.1", strconv.Itoa(number)))
		s.Reserve = true
		all = append(all, s)
	}
	return all
}
