package supervisor

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var seeds = flag.Int("model.seeds", 300, "number of seeds that TestModel tries")

// TestModel lets a simulated runtime, builder, gateway, user and fate act on
// a State in every order they could, and holds what Step does against what
// it promises.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range *seeds {
		m := newModel(uint64(seed))
		if err := m.run(); err != nil {
			t.Fatalf("%s\nseed %d: %v", strings.Join(m.trace[max(0, len(m.trace)-200):], "\n"), seed, err)
		}
	}
}

// model is the world around one State.
type model struct {
	rand  *rand.Rand
	now   time.Time
	state State
	trace []string

	runtime  map[ID]*simulated // nil values never
	builds   map[ID]bool
	routes   map[Name]uint64 // 0: held
	stream   []Event         // what the runtime has said and nobody read
	past     []Event         // to be said again
	attached bool
	plans    map[string]Plan
	kept     map[Name]Service // what is on disk
	numbers  map[ID]string    // every number that was started, and with what
	faults   bool             // while false, everything works at the first attempt
	version  int
	newborn  bool // the daemon is, and has not seen the runtime yet
}

// simulated is a generation in the runtime.
type simulated struct {
	plan      Plan
	trial     bool
	phase     ReportedPhase
	restarts  int
	lost      bool
	until     time.Time
	instances []simulatedInstance
}

type simulatedInstance struct {
	attempt     int
	alive       bool
	ready       bool
	wasReady    bool
	completedOK bool
}

func newModel(seed uint64) *model {
	m := &model{
		rand: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1e6, 0), faults: true,
		runtime: map[ID]*simulated{}, builds: map[ID]bool{}, routes: map[Name]uint64{},
		numbers: map[ID]string{}, kept: map[Name]Service{}, plans: map[string]Plan{},
	}
	m.state = New(1+m.rand.IntN(3), nil, false)
	return m
}

func (m *model) run() error {
	for range 150 {
		if err := m.act(); err != nil {
			return err
		}
	}
	m.faults = false
	return m.converge()
}

// act does one thing that could happen now.
func (m *model) act() error {
	switch n := m.rand.IntN(110); {
	case n >= 100:
		return m.gateway()
	case n < 8:
		return m.feed(m.request())
	case n < 10:
		return m.disturb()
	case n < 40:
		return m.deliver(1 + m.rand.IntN(6))
	case n < 46:
		return m.feed(m.stale())
	case n < 54:
		return m.pass(time.Duration(m.rand.IntN(4000)) * time.Millisecond)
	case n < 64:
		return m.build()
	case !m.attached:
		return m.attach()
	}
	m.live()
	return nil
}

// request is something that the user does.
func (m *model) request() Event {
	pick := func() []Name {
		var all []Name
		for _, service := range modelServices {
			if m.rand.IntN(3) == 0 {
				all = append(all, named(service))
			}
		}
		return all
	}
	switch m.rand.IntN(9) {
	case 0, 1:
		return m.edit()
	case 2:
		return Wanted{Names: pick()}
	case 3:
		return Restarted{pick()}
	case 4, 5, 6:
		return Changed{pick(), fmt.Sprint("save ", m.rand.IntN(100))}
	}
	return Wanted{Names: pick(), Up: true, Keep: m.rand.IntN(2) == 0, All: m.rand.IntN(2) == 0}
}

var modelServices = []string{"a", "b", "c", "d", "e", "f"}

// gateway says what the gateway could say now, and some things that it says
// too late.
func (m *model) gateway() error {
	name := named(modelServices[m.rand.IntN(6)])
	s := m.state.Service(name)
	switch m.rand.IntN(3) {
	case 0:
		return m.feed(Woken{[]Name{name}})
	case 1:
		return m.feed(Idled{name})
	}
	for _, d := range s.Traffic().Draining {
		return m.feed(Drained{ID{name, d.Generation}})
	}
	return m.feed(Woken{[]Name{name}}, Changed{[]Name{name}, "both at once"})
}

// edit changes the manifest. Services depend only on later ones.
func (m *model) edit() Applied {
	next := make(map[string]Plan)
	for i, service := range modelServices {
		p, ok := m.plans[service]
		switch {
		case m.rand.IntN(8) == 0:
			continue
		case !ok || m.rand.IntN(3) == 0:
			m.version++
			p = Plan{
				Revision: fmt.Sprint("v", 1+m.rand.IntN(3)), Build: m.rand.IntN(3) == 0, OneShot: i >= 4,
				Replicas: m.rand.IntN(3), Drain: time.Duration(m.rand.IntN(4)) * time.Second, Reload: ReloadOverlap,
			}
			// What decides about running is part of the revision.
			p.Revision += fmt.Sprint(p.Build, p.Replicas)
			switch m.rand.IntN(6) {
			case 0, 1:
				p.Reload = ReloadRestart
			case 2:
				p.Reload, p.Signal = ReloadSignal, "HUP"
			case 3:
				p.Reload = ReloadNone
			}
			p.Proxied, p.OnDemand = m.rand.IntN(2) == 0, m.rand.IntN(3) == 0
		}
		p.DependsOn = nil
		for _, need := range modelServices[i+1:] {
			if m.rand.IntN(4) == 0 {
				c := []Condition{ConditionStarted, ConditionHealthy}[m.rand.IntN(2)]
				if need >= "e" {
					c = ConditionCompleted
				}
				p.DependsOn = append(p.DependsOn, Dependency{need, c, m.rand.IntN(3) == 0})
			}
		}
		next[service] = p
	}
	for _, p := range next {
		for _, d := range p.DependsOn {
			if _, ok := next[d.Service]; !ok {
				return Applied{"local", "shop", m.plans} // the daemon refuses it
			}
		}
	}
	m.plans = next
	return Applied{"local", "shop", next}
}

// disturb breaks something.
func (m *model) disturb() error {
	switch m.rand.IntN(8) {
	case 0, 1, 2: // kill -9 of the daemon
		m.note("daemon dies")
		m.rebirth(false)
	case 3: // of the runtime, which tells what it lost
		m.note("runtime dies")
		for id, g := range m.runtime {
			if !g.phase.final() {
				g.phase, g.lost = ReportedFailed, true
				for r := range g.instances {
					g.instances[r].alive, g.instances[r].ready = false, false
				}
			}
			if m.rand.IntN(3) == 0 {
				delete(m.runtime, id)
			}
		}
		m.stream, m.attached = nil, false
		return m.feed(Detached{})
	case 4:
		m.note("reboot")
		m.runtime, m.routes, m.builds = map[ID]*simulated{}, map[Name]uint64{}, map[ID]bool{}
		m.rebirth(true)
	case 5, 6:
		m.stream, m.attached = nil, false
		return m.feed(Detached{})
	case 7: // somebody else's hand
		id := ID{named(modelServices[m.rand.IntN(6)]), m.state.Service(named("a")).Last + 5}
		if m.attached && m.runtime[id] == nil {
			m.note("stranger %v", id)
			s := m.state.Service(id.Name)
			m.boot(id, s.Plan, false)
		}
	}
	return nil
}

func (m *model) rebirth(rebooted bool) {
	var kept []Service
	for _, s := range m.kept {
		kept = append(kept, s)
	}
	m.state = New(m.state.Limit, kept, rebooted)
	maps.DeleteFunc(m.routes, func(name Name, _ uint64) bool { // a Drop was lost; a new daemon gives the whole table
		_, known := m.state.Services[name]
		return !known
	})
	m.stream, m.attached = nil, false
	m.builds, m.past, m.newborn = map[ID]bool{}, nil, true
}

// attach reports the present.
func (m *model) attach() error {
	m.attached = true
	m.stream = []Event{Attached{}}
	for id := range m.numbers { // what was dropped, and the runtime forgot, may begin anew
		if m.newborn && id.Number > m.kept[id.Name].Last && m.runtime[id] == nil {
			delete(m.numbers, id)
		}
	}
	for _, id := range m.ids() {
		g := m.runtime[id]
		m.stream = append(m.stream, m.report(id))
		for r, i := range g.instances {
			if i.alive {
				m.say(InstanceStarted{ID: id, Replica: r, Attempt: i.attempt})
				if i.ready {
					m.say(InstanceReady{ID: id, Replica: r, Attempt: i.attempt, Ready: true})
				}
			} else if i.attempt > 0 {
				m.say(InstanceExited{ID: id, Replica: r, Attempt: i.attempt, Success: i.completedOK})
			}
		}
	}
	m.say(Synced{})
	return nil
}

func (m *model) say(e Event) { m.stream = append(m.stream, e) }

func (m *model) report(id ID) Reported {
	g := m.runtime[id]
	r := Reported{ID: id, Revision: g.plan.Revision, Phase: g.phase, Restarts: g.restarts, Lost: g.lost}
	if g.phase == ReportedBackoff {
		r.Until = g.until
	}
	return r
}

// ids returns the runtime's generations in a fixed order.
func (m *model) ids() []ID {
	var all []ID
	for id := range m.runtime {
		all = append(all, id)
	}
	slices.SortFunc(all, func(a, b ID) int {
		if c := compareNames(a.Name, b.Name); c != 0 {
			return c
		}
		return int(a.Number) - int(b.Number)
	})
	return all
}

// deliver hands events of the runtime to Step.
func (m *model) deliver(n int) error {
	n = min(n, len(m.stream))
	if n == 0 {
		return nil
	}
	events := m.stream[:n]
	m.stream = m.stream[n:]
	m.past = append(m.past, events...)
	if len(m.past) > 30 {
		m.past = m.past[len(m.past)-30:]
	}
	return m.feed(events...)
}

// stale is an event from the past, or about something that never was. What a
// runtime never says twice, because it says it in order, is left out: that a
// generation lives, after it has ended.
func (m *model) stale() Event {
	if len(m.past) > 0 && m.rand.IntN(3) > 0 {
		switch e := m.past[m.rand.IntN(len(m.past))].(type) {
		case InstanceExited, InstanceStarted:
			return e
		case InstanceReady:
			if !e.Ready {
				return Ticked{}
			}
			if g := m.runtime[e.ID]; g != nil && e.Replica < len(g.instances) && !g.instances[e.Replica].ready {
				return Ticked{} // it would be a lie
			}
			return e
		case Reported:
			if e.Phase.final() {
				return e
			}
		}
	}
	id := ID{named(modelServices[m.rand.IntN(6)]), uint64(m.rand.IntN(20))}
	if m.runtime[id] != nil || m.builds[id] || m.rand.IntN(2) == 0 {
		return Ticked{}
	}
	return []Event{
		InstanceReady{ID: id, Attempt: 9, Ready: true}, InstanceExited{ID: id, Attempt: 0, Text: "old"},
		Built{ID: ID{named("x"), 1}, OK: true}, Refused{ID: ID{named("a"), 1000}}, Drained{ID: ID{named("a"), 1000}},
	}[m.rand.IntN(5)]
}

func (m *model) pass(d time.Duration) error {
	m.now = m.now.Add(d)
	if at, ok := m.state.Wake(); ok && !m.now.Before(at) || m.rand.IntN(4) == 0 {
		return m.feed(Ticked{})
	}
	return nil
}

// build ends one build.
func (m *model) build() error {
	for _, id := range sortedIDs(m.builds) {
		if m.faults && m.rand.IntN(2) == 0 {
			continue
		}
		delete(m.builds, id)
		ok := !m.faults || m.rand.IntN(4) > 0
		return m.feed(Built{ID: id, OK: ok, Cause: Cause{Kind: CauseBuild, Text: "broken"}})
	}
	return nil
}

func sortedIDs(set map[ID]bool) []ID {
	m := model{runtime: map[ID]*simulated{}}
	for id := range set {
		m.runtime[id] = nil
	}
	return m.ids()
}

// live has one generation of the runtime take one step of its life.
func (m *model) live() bool {
	ids := m.ids()
	m.rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for _, id := range ids {
		if m.liveOne(id, m.runtime[id]) {
			return true
		}
	}
	return false
}

func (m *model) liveOne(id ID, g *simulated) bool {
	switch g.phase {
	case ReportedStopping:
		for r := range g.instances {
			m.exit(id, g, r, m.rand.IntN(2) == 0)
		}
		m.turn(id, g, ReportedStopped)
		return true
	case ReportedStopped, ReportedCompleted, ReportedFailed:
		if m.attached && len(m.stream) == 0 && m.rand.IntN(4) == 0 {
			delete(m.runtime, id) // Forget
		}
		return false
	}
	first := m.rand.IntN(len(g.instances))
	for k := range g.instances {
		if m.liveReplica(id, g, (first+k)%len(g.instances)) {
			return true
		}
	}
	return false
}

func (m *model) liveReplica(id ID, g *simulated, r int) bool {
	switch i := &g.instances[r]; {
	case !i.alive && i.completedOK:
		return m.completeIf(id, g)
	case !i.alive && g.phase == ReportedBackoff:
		g.phase = ReportedRunning
		g.restarts++
		m.change(id)
		fallthrough
	case !i.alive:
		if m.faults && m.rand.IntN(6) == 0 {
			i.attempt++
			m.event(InstanceExited{ID: id, Replica: r, Attempt: i.attempt, Text: "could not be started"})
			m.after(id, g)
			return true
		}
		*i = simulatedInstance{attempt: i.attempt + 1, alive: true}
		m.event(InstanceStarted{ID: id, Replica: r, Attempt: i.attempt})
	case m.faults && m.rand.IntN(5) == 0:
		m.exit(id, g, r, false)
		m.after(id, g)
	case m.faults && i.ready && m.rand.IntN(3) == 0:
		i.ready = false
		m.event(InstanceReady{ID: id, Replica: r, Attempt: i.attempt})
	case !i.ready:
		i.ready, i.wasReady = true, true
		m.event(InstanceReady{ID: id, Replica: r, Attempt: i.attempt, Ready: true})
	case g.plan.OneShot:
		m.exit(id, g, r, true)
		i.completedOK = true
		m.completeIf(id, g)
	default:
		return false
	}
	return true
}

func (m *model) completeIf(id ID, g *simulated) bool {
	for _, i := range g.instances {
		if !i.completedOK {
			return false
		}
	}
	m.turn(id, g, ReportedCompleted)
	return true
}

// after decides what follows an exit: the restart policy.
func (m *model) after(id ID, g *simulated) {
	tried := false
	for _, i := range g.instances {
		tried = tried || i.wasReady
	}
	switch {
	case g.trial && !tried, m.rand.IntN(5) == 0:
		for r := range g.instances {
			m.exit(id, g, r, false)
		}
		m.turn(id, g, ReportedFailed)
	case m.rand.IntN(2) == 0:
		g.until = m.now.Add(time.Duration(m.rand.IntN(20)) * time.Second)
		m.turn(id, g, ReportedBackoff)
	}
}

func (m *model) exit(id ID, g *simulated, r int, success bool) {
	if i := &g.instances[r]; i.alive {
		i.alive, i.ready = false, false
		m.event(InstanceExited{ID: id, Replica: r, Attempt: i.attempt, Text: "exit", Success: success})
	}
}

func (m *model) turn(id ID, g *simulated, p ReportedPhase) {
	g.phase = p
	m.change(id)
}

func (m *model) change(id ID) { m.event(m.report(id)) }

// event says something to whoever listens.
func (m *model) event(e Event) {
	if m.attached {
		m.say(e)
	}
}

func (m *model) boot(id ID, p Plan, trial bool) {
	m.runtime[id] = &simulated{plan: p, trial: trial, phase: ReportedRunning, instances: make([]simulatedInstance, max(1, p.Replicas))}
	m.change(id)
}

func (m *model) note(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

var shorten = strings.NewReplacer("supervisor.", "", "Environment:local Project:shop Service:", "", "Name:", "",
	" Time:0001-01-01 00:00:00 +0000 UTC", "", " Until:0001-01-01 00:00:00 +0000 UTC", "", " Endpoints:map[]", "", " PID:0", "")

// feed is the daemon: Step, commit, carry out.
func (m *model) feed(events ...Event) error {
	for _, e := range events {
		if _, ok := e.(Synced); ok {
			m.newborn = false
		}
		m.note("%s", shorten.Replace(fmt.Sprintf("%T%+v", e, e)))
	}
	before, input := clone(m.state), m.state
	next, commands := Step(m.state, m.now, events...)
	if m.rand.IntN(4) == 0 && !reflect.DeepEqual(before.Services, input.Services) {
		return fmt.Errorf("the input was changed")
	}
	if m.faults && m.rand.IntN(40) == 0 {
		for _, e := range events {
			if _, ok := e.(Applied); ok {
				m.note("commit fails")
				m.plans = planned(m.state)
				return nil // a refused request: nothing has happened
			}
		}
	}
	m.state = next
	if err := cmp.Or(m.check(input, commands), m.checkSaves(input, commands, events)); err != nil {
		return err
	}
	m.commit()
	if m.faults && m.rand.IntN(150) == 0 {
		m.note("daemon dies after the commit, before it acts")
		m.rebirth(false)
		return nil
	}
	for _, c := range commands {
		m.note("    %s", word(c))
		m.carryOut(c)
	}
	return nil
}

func planned(s State) map[string]Plan {
	plans := make(map[string]Plan)
	for name, service := range s.Services {
		if !service.Gone {
			plans[name.Service] = service.Plan
		}
	}
	return plans
}

func (m *model) commit() {
	m.kept = make(map[Name]Service, len(m.state.Services))
	for name, s := range m.state.Services {
		m.kept[name] = s.Remembered()
	}
}

func (m *model) carryOut(c Command) {
	switch c := c.(type) {
	case Build:
		m.builds[c.ID] = true
	case Cancel:
		delete(m.builds, c.ID)
	case Start:
		m.start(c)
	case Stop:
		g := m.runtime[c.ID]
		if g == nil {
			m.event(Reported{ID: c.ID, Phase: ReportedStopped}) // NotFound, as the daemon says it
		} else if !g.phase.final() && g.phase != ReportedStopping {
			m.turn(c.ID, g, ReportedStopping)
		}
	case Route:
		m.routes[c.ID.Name] = c.ID.Number
	case Hold:
		m.routes[c.Name] = 0
	case Unroute:
		delete(m.routes, c.Name)
	case Drop:
		delete(m.routes, c.Name)
	}
}

func (m *model) start(c Start) {
	if m.runtime[c.ID] != nil {
		return // idempotent
	}
	s := m.state.Service(c.ID.Name)
	if m.faults && m.rand.IntN(12) == 0 && m.attached {
		m.say(Refused{ID: c.ID, Cause: Cause{Kind: CauseStart, Text: "refused"}})
		return
	}
	if g := s.generation(c.ID.Number); g != nil {
		m.boot(c.ID, g.Plan, c.Trial)
	}
}
