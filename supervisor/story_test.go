package supervisor

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A story is a test that reads from top to bottom. Each line is a batch of
// events, separated by " ; ", and after "->" all commands that must follow,
// in order; without "->" none may. A line "is a ready, b pending" checks
// phases, "why a text" a cause, "because a text" what its newest generation was
// made for, "traffic a text" what trafficText makes of that, "wakes in 3s" what
// Wake says. The words are those of story.events.
//
// Plans are written name=revision and options in brackets:
// web=v1[build,restart,signal,none,proxied,lazy,once,x2,drain:1s,healthy:db,started:db,done:db,with:db,along:db]
// ("with" is healthy, "along" is started, both with Dependency.Restart).
type story struct {
	state State
	now   time.Time
}

func tell(t *testing.T, limit int, text string) {
	t.Helper()
	s := &story{state: New(limit, nil, false), now: time.Unix(1000, 0)}
	s.do(Attached{}, Synced{})
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		when, then, _ := strings.Cut(line, "->")
		if err := s.line(strings.TrimSpace(when), strings.TrimSpace(then)); err != nil {
			t.Fatalf("line %d: %s\n%v\n%s", i+1, line, err, s.dump())
		}
	}
}

func (s *story) line(when, then string) error {
	verb, rest, _ := strings.Cut(when, " ")
	switch verb {
	case "is":
		return s.is(rest)
	case "wakes":
		at, _ := s.state.Wake()
		if got := "in " + at.Sub(s.now).String(); got != rest {
			return fmt.Errorf("wakes %s", got)
		}
		return nil
	case "because": // the trigger of the latest generation
		name, text, _ := strings.Cut(rest, " ")
		service := s.state.Service(named(name))
		g := service.Generations[len(service.Generations)-1]
		if g.Trigger != text || service.Trigger != text {
			return fmt.Errorf("because %q, the service because %q", g.Trigger, service.Trigger)
		}
		return nil
	case "traffic":
		name, text, _ := strings.Cut(rest, " ")
		if got := trafficText(s.state.Service(named(name)).Traffic()); got != text {
			return fmt.Errorf("traffic is %s", got)
		}
		return nil
	case "why":
		name, text, _ := strings.Cut(rest, " ")
		got := s.state.Service(named(name)).Why()
		if strings.TrimSpace(string(got.Kind)+": "+got.Text) != text {
			return fmt.Errorf("why is %s: %s", got.Kind, got.Text)
		}
		return nil
	}
	events := s.eventsOf(when)
	before := clone(s.state)
	input := s.state
	got := strings.Join(s.do(events...), ", ")
	if !reflect.DeepEqual(before.Services, input.Services) {
		return fmt.Errorf("the input state was changed")
	}
	if got != then {
		return fmt.Errorf("commands: %s", got)
	}
	return nil
}

func (s *story) eventsOf(line string) []Event {
	var events []Event
	for _, one := range strings.Split(line, " ; ") {
		events = append(events, s.events(strings.TrimSpace(one))...)
	}
	return events
}

func (s *story) is(want string) error {
	for _, one := range strings.Split(want, ", ") {
		name, phase, _ := strings.Cut(one, " ")
		_, ok := s.state.Services[named(name)]
		service := s.state.Service(named(name))
		got := string(service.Phase())
		if !ok {
			got = "unknown"
		}
		if got != phase {
			return fmt.Errorf("%s is %s", name, got)
		}
	}
	return nil
}

func (s *story) do(events ...Event) []string {
	var commands []Command
	s.state, commands = Step(s.state, s.now, events...)
	words := make([]string, len(commands))
	for i, c := range commands {
		words[i] = word(c)
	}
	return words
}

// events is the vocabulary.
func (s *story) events(text string) []Event {
	verb, rest, _ := strings.Cut(text, " ")
	args := strings.Fields(rest)
	var id ID
	if len(args) > 0 && strings.Contains(args[0], "/") && verb != "apply" {
		id = parseID(args[0])
	}
	plan := func() Plan {
		if g := ptr(s.state.Service(id.Name)).generation(id.Number); g != nil {
			return g.Plan
		}
		return Plan{}
	}
	reported := func(p ReportedPhase) Reported { return Reported{ID: id, Revision: plan().Revision, Phase: p} }
	switch verb {
	case "apply":
		return []Event{applied(args)}
	case "up", "up-all", "keep":
		return []Event{Wanted{Names: names(args), Up: true, All: verb == "up-all", Keep: verb == "keep"}}
	case "down":
		return []Event{Wanted{Names: names(args)}}
	case "restart":
		return []Event{Restarted{names(args)}}
	case "save": // save web api
		return []Event{Changed{names(args), "main.go changed"}}
	case "call":
		return []Event{Woken{names(args)}}
	case "idle":
		return []Event{Idled{named(args[0])}}
	case "built":
		return []Event{Built{ID: id, OK: true}}
	case "broken":
		return []Event{Built{ID: id, Cause: Cause{Text: "a.go:1: no"}}}
	case "refused":
		return []Event{Refused{ID: id, Cause: Cause{Text: "no such file"}}}
	case "running":
		return []Event{reported(ReportedRunning), InstanceStarted{ID: id, Attempt: 1, PID: 7}}
	case "ready":
		all := []Event{reported(ReportedRunning)}
		for r := range max(1, plan().Replicas) {
			all = append(all, InstanceStarted{ID: id, Replica: r, Attempt: 1, PID: 7}, InstanceReady{ID: id, Replica: r, Attempt: 1, Ready: true})
		}
		return all
	case "second": // a second attempt, not ready
		return []Event{InstanceStarted{ID: id, Attempt: 2}}
	case "again": // a second attempt, ready
		return []Event{Reported{ID: id, Phase: ReportedRunning, Restarts: 1}, InstanceStarted{ID: id, Attempt: 2}, InstanceReady{ID: id, Attempt: 2, Ready: true}}
	case "unready":
		return []Event{InstanceReady{ID: id, Attempt: 1, Detail: "503"}}
	case "exited":
		x := InstanceExited{ID: id, Attempt: 1, Text: "exit code 3"}
		if len(args) > 1 { // exited web/1 1: the second replica
			x.Replica, _ = strconv.Atoi(args[1])
		}
		return []Event{x}
	case "starved":
		return []Event{InstanceExited{ID: id, Attempt: 1, Text: "out of memory", Memory: true}}
	case "backoff":
		return []Event{InstanceExited{ID: id, Attempt: 1, Text: "exit code 3"}, reported(ReportedBackoff)}
	case "wait": // wait web/1 10s: until the next attempt
		r := reported(ReportedBackoff)
		d, _ := time.ParseDuration(args[1])
		r.Until = s.now.Add(d)
		return []Event{r}
	case "stranger": // stranger a/7 v1
		return []Event{Reported{ID: id, Revision: args[1], Phase: ReportedRunning}}
	case "stopping", "stopped", "completed", "failed":
		return []Event{reported(ReportedPhase(verb))}
	case "lost":
		r := reported(ReportedFailed)
		r.Lost = true
		return []Event{r}
	case "drained":
		return []Event{Drained{id}}
	case "after":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			panic(err)
		}
		s.now = s.now.Add(d)
		return []Event{Ticked{}}
	case "attach":
		return []Event{Attached{}}
	case "observe":
		return []Event{Attached{Observe: true}}
	case "sync":
		return []Event{Synced{}}
	case "detach":
		return []Event{Detached{}}
	case "lose":
		s.state = New(s.state.Limit, nil, false)
		s.state.Bereft = true
		return nil
	case "crash", "reboot":
		s.state = reborn(s.state, verb == "reboot")
		return nil
	}
	panic("no such word: " + text)
}

// reborn is what a new daemon has of s.
func reborn(s State, rebooted bool) State {
	var kept []Service
	for _, service := range s.Services {
		kept = append(kept, service.Remembered())
	}
	return New(s.Limit, kept, rebooted)
}

// trafficText: "serving 2, drains 1", "held 1: waits", "down: it failed".
func trafficText(t Traffic) string {
	text := string(t.State)
	if t.Generation != 0 {
		text += fmt.Sprint(" ", t.Generation)
	}
	if n := len(t.Instances); n > 1 {
		text += fmt.Sprint(" x", n)
	}
	for _, d := range t.Draining {
		text += fmt.Sprint(", drains ", d.Generation)
	}
	if t.Cause.Text != "" {
		text += ": " + t.Cause.Text
	}
	return text
}

func ptr(s Service) *Service { return &s }

func named(service string) Name { return Name{"local", "shop", service} }

func names(services []string) []Name {
	all := make([]Name, len(services))
	for i, s := range services {
		all[i] = named(s)
	}
	return all
}

func parseID(text string) ID {
	service, number, _ := strings.Cut(text, "/")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		panic(err)
	}
	return ID{named(service), n}
}

func applied(args []string) Applied {
	a := Applied{Environment: "local", Project: "shop", Plans: make(map[string]Plan)}
	for _, arg := range args {
		arg, options, _ := strings.Cut(strings.TrimSuffix(arg, "]"), "[")
		name, revision, _ := strings.Cut(arg, "=")
		p := Plan{Revision: revision, Reload: ReloadOverlap}
		for _, o := range strings.FieldsFunc(options, func(r rune) bool { return r == ',' }) {
			p.option(o)
		}
		a.Plans[name] = p
	}
	return a
}

func (p *Plan) option(o string) {
	key, value, _ := strings.Cut(o, ":")
	need := func(c Condition, restart bool) {
		p.DependsOn = append(p.DependsOn, Dependency{Service: value, Condition: c, Restart: restart})
	}
	switch key {
	case "build":
		p.Build = true
	case "restart":
		p.Reload = ReloadRestart
	case "once":
		p.OneShot = true
	case "signal":
		p.Reload, p.Signal = ReloadSignal, "HUP"
	case "none":
		p.Reload = ReloadNone
	case "first":
		p.First = true
	case "proxied":
		p.Proxied = true
	case "lazy":
		p.OnDemand = true
	case "x2":
		p.Replicas = 2
	case "drain":
		p.Drain, _ = time.ParseDuration(value)
	case "healthy":
		need(ConditionHealthy, false)
	case "started":
		need(ConditionStarted, false)
	case "done":
		need(ConditionCompleted, false)
	case "along":
		need(ConditionStarted, true)
	case "with":
		need(ConditionHealthy, true)
	default:
		panic("no such option: " + o)
	}
}

func word(c Command) string {
	short := func(id ID) string { return fmt.Sprintf("%s/%d", id.Service, id.Number) }
	switch c := c.(type) {
	case Build:
		return "build " + short(c.ID)
	case Cancel:
		return "cancel " + short(c.ID)
	case Start:
		if c.Trial {
			return "try " + short(c.ID)
		}
		return "start " + short(c.ID)
	case Route:
		return "route " + short(c.ID)
	case Hold:
		return "hold " + c.Name.Service
	case Unroute:
		return "unroute " + c.Name.Service
	case Drain:
		return fmt.Sprintf("drain %s %v", short(c.ID), c.Limit)
	case Stop:
		if c.Kill {
			return "kill " + short(c.ID)
		}
		return "stop " + short(c.ID)
	case Signal:
		return c.Signal + " " + short(c.ID)
	case Drop:
		return "drop " + c.Name.Service
	}
	return fmt.Sprintf("%T", c)
}

func (s *story) dump() string {
	var b strings.Builder
	for name, service := range s.state.Services {
		fmt.Fprintf(&b, "%s %s routed %d held %v rejected %q %v want %+v\n", name.Service, service.Phase(), service.Routed, service.Held, service.Rejected, service.Why(), service.Want)
		for _, g := range service.Generations {
			fmt.Fprintf(&b, "\t%d %s %s queued=%v %v\n", g.Number, g.Plan.Revision, g.Phase, g.Queued, g.Instances)
		}
	}
	return b.String()
}

// clone copies a state deeply, as far as Step could change it.
func clone(s State) State {
	services := make(map[Name]*Service, len(s.Services))
	for name, known := range s.Services {
		service := *known
		service.Generations = slices.Clone(service.Generations)
		for i := range service.Generations {
			g := &service.Generations[i]
			g.Instances = slices.Clone(g.Instances)
		}
		services[name] = &service
	}
	s.Services = services
	return s
}
