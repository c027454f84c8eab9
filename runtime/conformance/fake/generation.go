package fake

import (
	"strconv"
	"strings"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// generation and replica are guarded by Runtime.mu, and so are all functions
// of this file called with it held, but for those handed to r.later.
type generation struct {
	spec     runtime.Spec
	status   runtime.GenerationStatus
	changed  uint64 // sequence of the last GenerationEvent
	replicas []replica
	exits    []runtime.Event // not acknowledged, oldest first
	summary  int             // exits before those
	summed   uint64          // sequence of the newest of them
	proven   bool            // an instance was ready: a trial is over
}

type replica struct {
	attempt int
	live    bool
	act     Act
	started *runtime.Event
	ready   *runtime.Event // the last, when it says ready
	halted  string         // see SetHalted
	wasGood bool           // it was ready at some time
	since   time.Time      // of ready
	row     int            // restarts in a row
	recent  []time.Time    // restarts within Restart.Window
	waiting time.Time      // when it is started again; zero: it is not
	doom    *time.Timer    // SIGKILL after the grace
}

// maxExits is how many exits per generation the contract has kept one by one.
const maxExits = 256

func (g *generation) instance(i int) runtime.InstanceID {
	return runtime.InstanceID{ID: g.spec.ID, Replica: i, Attempt: g.replicas[i].attempt}
}

// find returns the live instance id.
func (r *Runtime) find(id runtime.InstanceID) (*generation, int) {
	g := r.generations[id.ID]
	if g == nil || id.Replica < 0 || id.Replica >= len(g.replicas) {
		return nil, 0
	}
	if rep := g.replicas[id.Replica]; !rep.live || rep.attempt != id.Attempt {
		return nil, 0
	}
	return g, id.Replica
}

// later calls fn with mu held after d, when that instance still lives.
func (r *Runtime) later(d time.Duration, id runtime.InstanceID, fn func(g *generation, i int)) *time.Timer {
	return time.AfterFunc(d, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if g, i := r.find(id); g != nil {
			fn(g, i)
		}
	})
}

func (r *Runtime) startInstance(g *generation, i int) {
	rep := &g.replicas[i]
	*rep = replica{attempt: rep.attempt + 1, row: rep.row, recent: rep.recent, live: true}
	id := g.instance(i)
	rep.act = r.options.Script(g.spec, id)
	if rep.act.Fail != "" {
		r.ended(g, i, runtime.Exit{Code: -1, Error: rep.act.Fail})
		return
	}
	r.lastPID++
	e := r.report(runtime.Event{Kind: runtime.StartedEvent, Instance: id, Started: &runtime.Started{
		PID: r.lastPID, Endpoints: endpoints(g.spec),
	}})
	rep.started = &e
	if rep.act.Output != "" {
		r.write(g.spec, id, rep.act.Output)
	}
	if act := rep.act; !act.Unable {
		r.after(act.After, id, func(g *generation, i int) { r.ready(g, i, runtime.Readiness{Ready: true}) })
	}
	if act := rep.act; act.Exit != nil {
		r.after(act.ExitIn, id, func(g *generation, i int) { r.ended(g, i, *act.Exit) })
	}
	if limit := g.spec.ReadyTimeout; limit > 0 && rep.act.Unable {
		r.later(limit, id, func(g *generation, i int) {
			if !g.replicas[i].wasGood {
				r.ended(g, i, runtime.Exit{Code: -1, Signal: "SIGKILL"})
			}
		})
	}
}

// after is later, and at once when d is 0.
func (r *Runtime) after(d time.Duration, id runtime.InstanceID, fn func(g *generation, i int)) {
	if d > 0 {
		r.later(d, id, fn)
	} else if g, i := r.find(id); g != nil {
		fn(g, i)
	}
}

func endpoints(s runtime.Spec) map[string]string {
	m := map[string]string{}
	for i, p := range s.Ports {
		number := p.Number
		if number == 0 {
			number = 20000 + i
		}
		m[p.Name] = "127.0.0.1:" + strconv.Itoa(number)
	}
	return m
}

func (r *Runtime) ready(g *generation, i int, ready runtime.Readiness) {
	rep := &g.replicas[i]
	e := r.report(runtime.Event{Kind: runtime.ReadyEvent, Instance: g.instance(i), Ready: &ready})
	rep.ready = nil
	if ready.Ready {
		rep.ready, rep.since, rep.wasGood, g.proven = &e, e.Time, true, true
	}
}

func (r *Runtime) ended(g *generation, i int, exit runtime.Exit) {
	rep := &g.replicas[i]
	rep.live = false
	if rep.doom != nil {
		rep.doom.Stop()
	}
	exit.Ready = rep.wasGood
	e := r.report(runtime.Event{Kind: runtime.ExitedEvent, Instance: g.instance(i), Exit: &exit})
	g.exits = append(g.exits, e)
	if len(g.exits) > maxExits {
		g.summary, g.summed = g.summary+1, g.exits[0].Sequence
		g.exits = g.exits[1:]
	}
	if g.status.Phase != runtime.GenerationStopping {
		r.restart(g, i, exit)
	}
	r.settle(g)
}

// restart decides by the policy.
func (r *Runtime) restart(g *generation, i int, exit runtime.Exit) {
	p, rep := g.spec.Restart, &g.replicas[i]
	wanted := p.Policy == runtime.RestartAlways || p.Policy == runtime.RestartOnFailure && !exit.Success()
	if !wanted || g.spec.Trial && !g.proven {
		if !exit.Success() {
			g.status.Reason = "it ended with " + outcome(exit)
		}
		return
	}
	now := time.Now()
	delay := min(p.Min<<min(rep.row, 20), max(p.Max, p.Min))
	rep.row++
	if rep.wasGood && now.Sub(rep.since) >= time.Second {
		delay, rep.row = 0, 0
	}
	for next := now.Add(delay); p.Window > 0 && len(rep.recent) > 0 && next.Sub(rep.recent[0]) >= p.Window; {
		rep.recent = rep.recent[1:]
	}
	if p.Limit > 0 && len(rep.recent) >= p.Limit {
		g.status.Reason = "it ended too often, the last time with " + outcome(exit)
		return
	}
	rep.recent = append(rep.recent, now.Add(delay))
	rep.waiting = now.Add(delay)
	attempt := rep.attempt
	time.AfterFunc(delay, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		rep := &g.replicas[i]
		if rep.attempt != attempt || rep.waiting.IsZero() {
			return // it was stopped meanwhile
		}
		g.status.Restarts++
		g.status.Phase, g.status.Until = runtime.GenerationRunning, time.Time{}
		r.reportGeneration(g)
		r.startInstance(g, i)
	})
}

func outcome(e runtime.Exit) string {
	if e.Error != "" {
		return e.Error
	}
	if e.Signal != "" {
		return e.Signal
	}
	return "code " + strconv.Itoa(e.Code)
}

// settle works out the phase after an instance has ended.
func (r *Runtime) settle(g *generation) {
	live, until := 0, time.Time{}
	for _, rep := range g.replicas {
		if rep.live {
			live++
		} else if !rep.waiting.IsZero() && (until.IsZero() || rep.waiting.Before(until)) {
			until = rep.waiting
		}
	}
	before := g.status
	switch {
	case live > 0:
	case g.status.Phase == runtime.GenerationStopping:
		g.status.Phase = runtime.GenerationStopped
	case !until.IsZero():
		g.status.Phase, g.status.Until = runtime.GenerationBackoff, until
	case g.status.Reason != "":
		g.status.Phase = runtime.GenerationFailed
	default:
		g.status.Phase = runtime.GenerationCompleted
	}
	if g.status.Phase != before.Phase {
		r.reportGeneration(g)
	}
}

func (r *Runtime) stop(g *generation, how runtime.StopRequest) {
	if g.status.Phase.Final() {
		return
	}
	if g.status.Phase != runtime.GenerationStopping {
		g.status.Phase, g.status.Until = runtime.GenerationStopping, time.Time{}
		r.reportGeneration(g)
	}
	grace := g.spec.Stop.Grace
	if how.Grace > 0 {
		grace = how.Grace
	}
	signal := "SIG" + strings.TrimPrefix(g.spec.Stop.Signal, "SIG")
	if signal == "SIG" {
		signal = "SIGTERM"
	}
	for i := range g.replicas {
		rep := &g.replicas[i]
		rep.waiting = time.Time{}
		switch {
		case !rep.live:
		case how.Kill || grace == 0:
			r.ended(g, i, runtime.Exit{Code: -1, Signal: "SIGKILL"})
		case rep.act.Stubborn:
			r.later(grace, g.instance(i), func(g *generation, i int) {
				r.ended(g, i, runtime.Exit{Code: -1, Signal: "SIGKILL"})
			})
		default:
			r.ended(g, i, runtime.Exit{Code: -1, Signal: signal})
		}
	}
	if g.status.Phase == runtime.GenerationStopping {
		r.settle(g)
	}
}
