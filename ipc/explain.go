package ipc

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stead-dev/stead/supervisor"
)

// explanation is the answer to: why is this service not as wanted?
type explanation struct {
	root     supervisor.Name // where the trouble is: the service itself, or one that it waits for
	chain    []string
	kind     string
	summary  string
	cause    string // as it is in the summary
	evidence []string
	hint     string
}

// explain names the one cause. It follows what is waited for down to where the
// trouble began, and is a pure function of the present and the time.
func explain(p *Present, name supervisor.Name, now time.Time) explanation {
	e := explanation{root: name, chain: []string{name.Service}}
	seen := map[supervisor.Name]bool{name: true}
	for {
		waits := p.State.WaitsFor(e.root)
		if len(waits) == 0 {
			break
		}
		need := supervisor.Name{Environment: name.Environment, Project: name.Project, Service: waits[0].Service}
		if seen[need] {
			break
		}
		seen[need] = true
		e.chain = append(e.chain, need.Service)
		e.evidence = append(e.evidence, fmt.Sprintf("%s waits for %s to be %s", e.root.Service, need.Service, conditionText(waits[0].Condition)))
		e.root = need
	}
	service, known := p.State.Services[e.root]
	if !known {
		e.kind, e.summary = string(supervisor.CauseDependency), e.root.Service+" is not part of the project any more"
		e.hint = "add it to stead.yaml, or take it out of depends_on"
		return e
	}
	e.ofService(*service, now)
	if cause, ok := p.Unreachable[e.root]; ok && (service.Ready() || service.Asleep || moves(e.kind)) {
		what := map[bool]string{true: "runs, but", false: "does not run, and"}[service.Ready()]
		e.set(string(cause.Kind), fmt.Sprintf("%s %s nobody can call it: %s", e.root.Service, what, cause.Text))
		e.hint = hintFor(e.kind, cause, e.root.Service)
	}
	if len(e.chain) > 1 {
		e.kind = map[bool]string{true: "waiting", false: "dependency"}[moves(e.kind)]
		e.summary = fmt.Sprintf("%s is pending: it waits for %s, and %s", name.Service, strings.Join(e.chain[1:], ", which waits for "), e.summary)
	}
	if p.Problem != "" {
		e.evidence = append(e.evidence, "stead itself is in trouble: "+p.Problem)
		if e.kind == "none" || moves(e.kind) {
			e.kind, e.summary = "daemon", p.Problem
		}
	}
	return e
}

// moves reports whether a cause of this kind passes by itself.
func moves(kind string) bool {
	return kind == "none" || kind == "building" || kind == "starting" || kind == "pending"
}

func conditionText(c supervisor.Condition) string {
	switch c {
	case supervisor.ConditionCompleted:
		return "completed"
	case supervisor.ConditionHealthy:
		return "ready"
	}
	return "started"
}

// ofService explains a service by itself.
func (e *explanation) ofService(s supervisor.Service, now time.Time) {
	name, phase, cause := s.Name.Service, s.Phase(), s.Why()
	e.cause = cause.Text
	current, _ := s.Current()
	since := ""
	if !current.Since.IsZero() {
		since = " for " + ago(now.Sub(current.Since))
	}
	switch {
	case s.Rejected != "" && s.Routed != 0:
		e.set("rejected", fmt.Sprintf("%s serves by generation %d; a newer one was tried and is no good: %s", name, s.Routed, cause.Text))
	case !s.Want.Up && phase == supervisor.PhaseStopping:
		e.set("down", name+" is stopping"+since+", as it was asked to")
	case !s.Want.Up:
		e.set("down", name+" is down, as nobody has asked for it")
		e.hint = "start it with: stead up " + name
	case s.Asleep && phase == supervisor.PhaseStopped:
		e.set("none", name+" sleeps: it "+cause.Text)
	case phase == supervisor.PhaseReady:
		e.set("none", name+" is ready"+since)
	case phase == supervisor.PhaseCompleted:
		e.set("none", name+" has completed")
	case phase == supervisor.PhaseBuilding:
		e.set("building", name+" is being built"+since)
	case phase == supervisor.PhasePending && cause.Kind == "":
		e.set("pending", name+" is next to be started")
	case phase == supervisor.PhaseBackoff:
		e.set("backoff", fmt.Sprintf("%s ended, and is started again in %s: %s", name, ago(current.Until.Sub(now)), cause.Text))
	case phase == supervisor.PhaseStarting && cause.Kind == "":
		e.set("starting", name+" has been started, and is not ready"+since)
	case phase == supervisor.PhaseStarting:
		e.set(string(cause.Kind), fmt.Sprintf("%s is starting%s: %s", name, since, cause.Text))
	default:
		e.set(string(cause.Kind), fmt.Sprintf("%s %s: %s", name, phaseText(phase), orUnknown(cause.Text)))
	}
	if current.Restarts > 0 {
		e.evidence = append(e.evidence, fmt.Sprintf("%s was restarted %d times since it was last given a new generation", name, current.Restarts))
	}
	for _, i := range current.Instances {
		if i.Exit != "" {
			e.evidence = append(e.evidence, fmt.Sprintf("its last process (%d/%d/%d) ended: %s", current.Number, i.Replica, i.Attempt, i.Exit))
		}
	}
	e.evidence = append(e.evidence, made(s)...)
	if e.hint == "" && e.kind == "rejected" && deadBeside(cause) && s.Plan.Reload == supervisor.ReloadOverlap {
		e.hint = fmt.Sprintf("should two of %s not be able to run at once (a lock, a port, a database), write: reload: restart; else read what the new one wrote: stead logs %s", name, name)
	}
	if e.hint == "" && e.kind == "rejected" {
		e.hint = hintFor(string(cause.Kind), cause, name)
	}
	if e.hint == "" {
		e.hint = hintFor(e.kind, cause, name)
	}
}

// deadBeside reports whether a new generation died by itself while the old one
// served, which may be why.
func deadBeside(c supervisor.Cause) bool {
	return c.Kind == supervisor.CauseExit && !strings.Contains(c.Text, "not ready within")
}

// ofHalted adds that a process stands still: the reason for whatever it does
// not do, and for what stead does not do with it.
func (e *explanation) ofHalted(s supervisor.Service, halted string) {
	if halted == "" {
		return
	}
	name := s.Name.Service
	if phase := s.Phase(); phase == supervisor.PhaseStarting || phase == supervisor.PhaseUnready {
		e.set("halted", name+" stands still: it is "+halted)
		e.hint = "have the debugger go on with it, or let it go; a process that was stopped goes on with: kill -CONT PID"
	}
	e.evidence = append([]string{name + " is " + halted + ": until that lets go, stead does not kill it for being late, nor reload it"}, e.evidence...)
}

func (e *explanation) set(kind, summary string) { e.kind, e.summary = kind, summary }

func phaseText(p supervisor.Phase) string {
	if p == supervisor.PhaseFailed {
		return "has failed"
	}
	return "is " + string(p)
}

func orUnknown(text string) string {
	if text == "" {
		return "no reason is known"
	}
	return text
}

// hints say what to do about a cause, by words in it; the first that fits.
var hints = []struct{ word, hint string }{
	// Those of a cluster come first: what follows in their text is its own.
	{"the image cannot be pulled", "see that the image of %s has that name where the cluster pulls from, and that the cluster may pull it there"},
	{"the image is not on the node", "stead loads images by the load: of the environment: see that it is this node's containerd"},
	{"no node takes it", "give %s smaller requests and limits, or the cluster room: kubectl describe nodes says what is taken"},
	{"quota is used up", "kubectl describe quota says what is left: stop something, or have the quota raised"},
	{"a restart of that service frees it", "`stead restart` that service in its project, or give %s another port (`auto` finds a free one)"},
	{"already taken by", "stop that program, or give %s another port (`auto` finds a free one)"},
	{"already taken", "find who listens there, or give %s another port (`auto` finds a free one)"},
	{"not found in PATH", "install it, write its path, or see the PATH that %s has: stead exec %s -- env"},
	{"no such file", "build it first, or correct the command of %s in stead.yaml"},
	{"working directory", "create it, or correct working_dir of %s in stead.yaml"},
	{"permission denied", "make it executable: chmod +x"},
	{"not executable", "make it executable: chmod +x"},
	{"exec format error", "it is no program for this machine: build it anew, or name its interpreter in the command"},
	{"out of memory", "give %s more memory, or find out what it needs it for"},
	{"exit code 127", "a shell did not find a command: read what %s wrote"},
	{"exit code 126", "a shell found a command that is not executable: read what %s wrote"},
	{"exit code 137", "something sent it SIGKILL, by hand or as memory ran out: read what %s wrote"},
	{"exit code 143", "something sent it SIGTERM: nothing of stead's, that would be said here"},
	{"SIGSEGV", "it crashed: run it under a debugger, or read what %s wrote"},
	{"SIGABRT", "it gave up by itself: read what %s wrote"},
	{"it listens on ", "have %s listen on $PORT; when it insists on its own port, write both: ports: {http: \"8080:3000\"}"},
	{"connection refused", "see that %s listens on $PORT: it is not listening where its `ready` probe asks"},
	{"no answer", "%s accepts connections and does not answer: it may be stuck"},
	{"status", "its `ready` probe is answered, but not with success: read what %s wrote"},
	{"left it behind", "it put itself into the background: run %s in the foreground (no daemon mode)"},
}

// hintFor returns what to do next.
func hintFor(kind string, cause supervisor.Cause, name string) string {
	if moves(kind) {
		return ""
	}
	if cause.Kind == supervisor.CauseBuild && strings.Contains(cause.Text, "did not end within") {
		return "see what it waits for: stead logs " + name + "; build: {command: …, timeout: …} gives it more time"
	}
	if cause.Kind == supervisor.CauseBuild {
		return "mend what the compiler says, then: stead up " + name
	}
	for _, h := range hints {
		if strings.Contains(cause.Text, h.word) {
			return strings.ReplaceAll(h.hint, "%s", name)
		}
	}
	return "read what it wrote: stead logs " + name
}

// ago is a duration for people.
func ago(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return strconv.Itoa(int(d.Milliseconds())) + "ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	return d.Round(time.Second).String()
}
