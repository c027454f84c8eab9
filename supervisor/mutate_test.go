package supervisor

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// faults are one-line mistakes, one or more per rule. The tests of the
// package must find each of them.
var faults = []struct{ name, from, to string }{
	{"routes before all replicas are ready", "case ready == g.replicas():", "case ready > 0:"},
	{"counts instances that are not ready", "if i.Ready {\n\t\t\tready++", "if i.Exit == \"\" {\n\t\t\tready++"},
	{"stops the old one without a drain", "old.to(PhaseDraining, t.now)", "t.stop(e, old, false)"},
	{"lets any number drain", "next == 0 || kept == drainMost-1", "next == 0"},
	{"cuts what drains", "next == 0 || kept == drainMost-1", "true"},
	{"a restart waits for what drains already", "next == 0 || kept == drainMost-1", "kept == drainMost-1"},
	{"does not hurry what drains", "\t\t\tg.Deadline = earlier(g.Deadline, t.now.Add(hurried))\n", ""},
	{"a hurried drain gets longer", "earlier(g.Deadline, t.now.Add(hurried))", "t.now.Add(hurried)"},
	{"never ends a drain", "func (t *step) endDrains(e *edit) {\n\tfor i := range e.Generations {", "func (t *step) endDrains(e *edit) {\n\tfor i := range e.Generations[:0] {"},
	{"forgets the drain in Wake", "drained = earlier(drained, g.Deadline)", "_ = g"},
	{"forgets the slot limit in Wake", "if waits {", "if waits && false {"},
	{"keeps a slot for ever", "&& now.Before(g.Since.Add(slotLimit))", ""},
	{"takes a slot back after an exit", " || i.Attempt > 1", ""},
	{"one slot too many", "free := t.state.Limit", "free := t.state.Limit + 1"},
	{"what begins to wait goes unseen", "case restless:", "case false:"},
	{"what came to rest stays restless", "case there && !restless:", "case false:"},
	{"restless as they were", "\t\tall[at] = s\n", ""},
	{"writes to its input's restless", "t.state.restless = slices.Clone(t.state.restless)", "_ = 0"},
	{"listed as they were", "t.state.listed[at] = s", "_ = at"},
	{"writes to its input's list", "t.state.listed = slices.Clone(t.state.listed)", "_ = 0"},
	{"the first one waits like all", "(s.Held || s.Plan.First)", "s.Held"},
	{"slots by name only", "cmp.Compare(g.level[a], g.level[b]), compareNames(a, b))", "compareNames(a, b))"},
	{"starts before the build", "g.Phase = PhaseBuilding\n", ""},
	{"a broken build is a success", "case b.OK:", "case true:"},
	{"forgets to cancel a build", "t.emit(Cancel{e.id(g.Number)})\n", ""},
	{"ignores unmet needs", "case !met:", "case !met && false:"},
	{"does not tell dependents", "if now == e.last {", "if true {"},
	{"does not tell dependencies on the way down", "now.blocks != e.last.blocks", "false"},
	{"goes down in any order", "if ok && s.rests() && s.runs()", "if false && ok && s.rests() && s.runs()"},
	{"a wanted dependent blocks the way down", "ok && s.rests() && s.runs() && t.state", "ok && s.runs() && t.state"},
	{"up leaves dependencies behind", "todo = append(todo, name.sibling(d.Service))", "_ = d"},
	{"up does not retry", "e.Want.Up = true\n\te.retry()", "e.Want.Up = true"},
	{"another revision does not retry", "if e.Plan.Revision != p.Revision {", "if false {"},
	{"tries a rejected revision again", "if e.Rejected != \"\" && e.Rejected == e.Plan.Revision {", "if false {"},
	{"forgets to reject", "\te.Rejected, e.Cause = g.Plan.Revision, g.Cause\n", ""},
	{"keeps a trial that died", "!latest.WasReady && latest.died():", "false:"},
	{"every start is a trial", "Trial: e.serving() != nil})", "Trial: true})"},
	{"supersedes what serves", " && g.Number != e.Routed {", " {"},
	{"leaves a superseded one", "t.stop(e, g, !g.WasReady)", "_ = g"},
	{"restart overlaps", "g.Plan.OneShot || g.Plan.Reload != ReloadOverlap", "g.Plan.OneShot || false && g.Plan.Reload != ReloadOverlap"},
	{"one-shots overlap", "g.Plan.OneShot || g.Plan.Reload != ReloadOverlap", "g.Plan.Reload != ReloadOverlap"},
	{"signal and none overlap", "g.Plan.Reload != ReloadOverlap && g.Plan.Reload != \"\"", "g.Plan.Reload == ReloadRestart"},
	{"stops without holding", "\te.Held = true\n\tt.emit(Hold{e.Name})", "\te.Held = true"},
	{"holds for ever", "case e.Held && e.fresh() == nil:", "case false:"},
	{"runs a completed one-shot again", "return latest.Phase == PhaseCompleted || ", "return "},
	{"does not run a named one-shot again", "if s, ok := t.get(name); ok && s.Plan.OneShot && s.completed() {", "if s, ok := t.get(name); ok && s.Plan.OneShot && false {"},
	{"ignores All", "if w.All {", "if false {"},
	{"forgets a completed one-shot", "g.Plan.OneShot && g.Phase == PhaseCompleted && !e.Gone", "false"},
	{"ignores a restart", " && g.Nonce == s.Want.Nonce", ""},
	{"lost counts as failed", "latest.Phase == PhaseFailed && latest.Cause.Kind != CauseRuntime\n}", "latest.Phase == PhaseFailed\n}"},
	{"a retry after giving up", "(g.Phase != PhaseFailed || g.Cause.Kind == CauseRuntime)", "true"},
	{"dependents are not restarted", "t.edit(name).renew(e.Name.Service + \" got a new generation\")\n\t\t}\n\t}\n}\n\nfunc (s *Service) restartsWith", "_ = g\n\t\t}\n\t}\n}\n\nfunc (s *Service) restartsWith"},
	{"all dependents are restarted", "if d.Service == service && d.Restart {", "if d.Service == service {"},
	{"the first route restarts dependents", "if before == 0 || before == number {", "if before == number {"},
	{"acts before Synced", "if t.state.Synced {\n\t\tt.settle()", "if true {\n\t\tt.settle()"},
	{"does not say again what holds", "\t\t\tt.restate()\n", ""},
	{"does not start again what may not have arrived", "g.Phase == PhaseStarting && !g.Confirmed", "false"},
	{"what is not reported lives on", "case g.running():", "case false:"},
	{"strangers run on", "t.commandWhenSynced(Stop{ID: r.ID})", "_ = 0"},
	{"adopts anything", "!e.wanted() || r.Revision != e.Plan.Revision", "!e.wanted()"},
	{"numbers fall behind strangers", "t.commandWhenSynced(Stop{ID: r.ID})\n\t}\n\te.Last = max(e.Last, g.Number)\n", "t.commandWhenSynced(Stop{ID: r.ID})\n\t}\n"},
	{"gone services stay", "\t\te.dropped = true\n", ""},
	{"remembers too much", "kept.Phase = PhaseStarting", "kept.Phase = g.Phase"},
	{"remembers outcomes without their cause", "kept.Since, kept.Cause = g.Since, g.Cause", "kept.Since = g.Since"},
	{"after a reboot all comes back", "s.Want.Up && s.Want.Keep", "s.Want.Up"},
	{"after a reboot a one-shot stays completed", "\ts.Generations = nil\n\ts.Routed", "\ts.Routed"},
	{"an older attempt overwrites a newer", "case !add || ok && attempt < g.Instances[at].Attempt:", "case !add:"},
	{"what ended gets ready", "func (t *step) instanceReady(r InstanceReady) {\n\tg, i := t.instance(r.ID, r.Replica, r.Attempt, false)\n\tif i == nil || i.Exit != \"\" {", "func (t *step) instanceReady(r InstanceReady) {\n\tg, i := t.instance(r.ID, r.Replica, r.Attempt, false)\n\tif i == nil {"},
	{"writes to its input", "s.Generations = slices.Clone(s.Generations)", "_ = 0"},
	{"writes to its input's instances", "s.Generations[i].Instances = slices.Clone(s.Generations[i].Instances)", "_ = i"},
	{"writes to its input's map", "t.state.Services = maps.Clone(t.state.Services)", "_ = maps.Clone(t.state.Services)"},
	{"a plan is not updated in place", "p.DependsOn, p.Reload, p.Drain", "p.DependsOn, g.Plan.Reload, p.Drain"},

	// What a save does.
	{"a save is for those that are down as well", "if !ok || !s.wanted() || s.Orphan {", "if !ok || s.Orphan {"},
	{"a save brings up", "e.retry()\n\te.renew(trigger)", "e.retry()\n\te.Want.Up = true\n\te.renew(trigger)\n\te.Plan.OnDemand = false"},
	{"a save is for what was taken over", "!s.wanted() || s.Orphan {", "!s.wanted() {"},
	{"none reloads", "\t\tcase ReloadNone:\n", "\t\tcase \"\":\n"},
	{"signal reloads", "\t\tcase ReloadSignal:\n", "\t\tcase \"\":\n"},
	{"a save does not retry", "e.retry()\n\te.renew(trigger)", "e.renew(trigger)"},
	{"a save only retries", "e.retry()\n\te.renew(trigger)", "e.retry()\n\te.Trigger = trigger"},
	{"signals what starts", "(g.Phase == PhaseReady || g.Phase == PhaseUnready)", "g.sent()"},
	{"does not signal what is unready", "(g.Phase == PhaseReady || g.Phase == PhaseUnready)", "g.Phase == PhaseReady"},
	{"signals for ever", "\te.Owed = \"\"\n\tg := e.fresh()", "\tg := e.fresh()"},
	{"signals what is not up to date", "\te.Owed = \"\"\n\tg := e.fresh()", "\te.Owed = \"\"\n\tg := e.latest()"},
	{"signals by a plan that is gone", "e.Plan.Reload == ReloadSignal && g != nil", "g != nil"},
	{"the dead are left with a signal", "\te.reload(trigger)\n}", "}"},
	{"owes a signal to who is down", "waits := t.blockedByDependents(e)\n\te.Owed = \"\"\n\tif", "waits := t.blockedByDependents(e)\n\tif"},
	{"owes a signal to who sleeps", "\te.Owed = \"\"\n\te.retry()", "\te.retry()"},
	{"a generation has no reason", "Trigger: e.Trigger, Phase", "Phase"},
	{"a reason is forgotten", "Trigger: g.Trigger, Built", "Built"},
	{"a request gives no reason", "\te.Trigger = trigger\n", ""},
	{"a loss gives no reason", "if lost != \"\" {", "if false {"},
	{"a loss hides a request", "latest.Cause.Kind == CauseRuntime && e.upToDate(latest) {", "latest.Cause.Kind == CauseRuntime {"},
	{"another's stop gives no reason", "return \"it was stopped by somebody else\"", "return \"\""},
	{"a start gives no reason", "\t\te.Trigger = \"started\"\n", ""},
	{"a retry gives no reason", "case e.blocked():\n\t\te.Trigger", "case false:\n\t\te.Trigger"},
	{"a manifest gives no reason", "\t\te.Trigger = \"the manifest changed\"\n", ""},

	// How a generation goes.
	{"drains what is not proxied", "case !old.Plan.Proxied || ", "case "},
	{"drains the dead", " || !old.alive():", ":"},
	{"cuts a drain for nothing", "\tcase old == nil:\n", "\tcase old == nil:\n\t\tfor i := range e.Generations {\n\t\t\tif g := &e.Generations[i]; g.Phase == PhaseDraining {\n\t\t\t\tt.stop(e, g, false)\n\t\t\t}\n\t\t}\n"},
	{"a restart does not drain", "t.emit(Hold{e.Name})\n\tt.retire(e, 0)", "t.emit(Hold{e.Name})\n\tt.stop(e, e.serving(), false)\n\te.Routed = 0"},
	{"forgets what is routed", "\te.Routed = next\n", ""},
	{"a plan's new ways are not updated in place", "= p.Signal, p.Proxied, p.OnDemand", "= p.Signal, g.Plan.Proxied, p.OnDemand"},

	// Callers.
	{"callers meet what is not ready", "return !i.Ready }", "return i.Exit != \"\" }"},
	{"callers meet only whole generations", "return slices.DeleteFunc(slices.Clone(g.Instances), unready)", "return nil"},
	{"callers wait for the hopeless", "return g.Cause.Kind != CauseDependency", "return true"},
	{"callers wait for any restart", "return g.Until.Sub(g.Since) <= holdLimit", "return true"},
	{"callers wait for no restart", "return g.Until.Sub(g.Since) <= holdLimit", "return false"},
	{"another wait is as long as the first", "if !g.Until.Equal(r.Until) {", "if false {"},
	{"callers do not wait for what was there", "case serving != nil && serving.comes():", "case false:"},
	{"callers do not wait for what comes", "case fresh != nil && fresh.comes():", "case false:"},
	{"callers do not wait for who sleeps", "case s.Asleep:\n\t\tt.State", "case false:\n\t\tt.State"},
	{"callers wait for what is down", "case !s.wanted():\n\t\tt.State", "case false:\n\t\tt.State"},
	{"callers wait for a one-shot", "case s.Plan.OneShot:\n\t\tt.State", "case false:\n\t\tt.State"},
	{"callers are sent away without a word", "if cause.Text == \"\" {", "if false {"},
	{"callers are not told what drains", "g.Phase == PhaseDraining {\n\t\t\tall", "g.Phase == \"\" {\n\t\t\tall"},
	{"waits for the user, and does not say so", "case !s.wanted():\n\t\treturn dep", "case false:\n\t\treturn dep"},

	// Sleep.
	{"a one-shot sleeps", "return p.OnDemand && !p.OneShot", "return p.OnDemand"},
	{"nobody sleeps", "return p.OnDemand && !p.OneShot", "return false"},
	{"a call wakes nobody", "\t\te.Awake = true\n\t\tif e.Asleep", "\t\tif e.Asleep"},
	{"a call wakes what is down", "!s.wanted() || !s.Plan.onDemand()", "!s.Plan.onDemand()"},
	{"a call gives no reason", "\t\t\te.Trigger = \"somebody connected\"\n", ""},
	{"a need gives no reason", "\t\te.Trigger = by.Service + \" needs it\"\n", "\t\t_ = by\n"},
	{"a need is no reason to start", "if before && needed {", "if (before || true) && needed {"},
	{"a restart wakes nobody", "\t\t\te.Awake = e.Plan.onDemand()\n", ""},
	{"down leaves it awake", "e.Want.Keep, e.Awake = false, false, false", "e.Want.Keep = false, false"},
	{"idle before it could be used", " || s.Routed == 0 && s.fresh() != nil {", " {"},
	{"never idle", "t.edit(i.Name).Awake = false", "t.edit(i.Name).Awake = true"},
	{"sleeps though it is called", "!e.Plan.onDemand() || e.Awake {", "!e.Plan.onDemand() {"},
	{"sleeps though it is needed", "e.Asleep = !needed", "e.Asleep = true"},
	{"needed by neighbours only", "todo = append(todo, above)", "_ = above"},
	{"needed by who sleeps", "case s.Plan.onDemand() && !s.Awake:", "case false:"},
	{"needed by who is down", "!ok || !s.wanted() || seen[above]", "!ok || seen[above]"},
	{"needed by who has completed", "case !s.Plan.OneShot || !s.completed():", "default:"},
	{"does not tell dependencies of a need", "|| now.rouses != e.last.rouses {", "{"},
	{"does not tell that a one-shot needs nothing more", "return !s.rests() && !(s.Plan.OneShot && s.completed())", "return !s.rests()"},
	{"does not tell former dependencies", "\t\t\tt.editNeeds(name, s.Plan) // nothing may need them any more\n", ""},
	{"sleeps before its dependents", "\twaits := t.blockedByDependents(e)\n\te.Owed = \"\"\n\te.retry()", "\twaits := false\n\te.Owed = \"\"\n\te.retry()"},
	{"goes down before who falls asleep", "if ok && s.rests() && s.runs()", "if ok && !s.wanted() && s.runs()"},
	{"does not tell dependencies that it sleeps", "blocks:    s.rests() && s.runs(),", "blocks:    !s.wanted() && s.runs(),"},
	{"falls asleep without a drain", "\t\tt.emit(Hold{e.Name})\n\t\tt.retire(e, 0)", "\t\tt.emit(Hold{e.Name})\n\t\te.Routed = 0"},
	{"falls asleep in the middle of a drain", "g.Phase != PhaseDraining && (!waits", "(!waits"},
	{"falls asleep and holds nobody", "\t\te.Held = true\n\t\tt.emit(Hold{e.Name})\n\t\tt.retire", "\t\te.Held = true\n\t\tt.retire"},
	{"drains for ever in its sleep", "(!waits || !g.running()) {\n\t\t\tt.stop(e, g, false)\n\t\t}\n\t}\n\tt.endDrains(e)\n}\n", "(!waits || !g.running()) {\n\t\t\tt.stop(e, g, false)\n\t\t}\n\t}\n}\n"},
	{"sleeps and bears a grudge", "\te.Owed = \"\"\n\te.retry()", "\te.Owed = \"\""},
	{"falls asleep when it comes to be on demand", "if p.onDemand() && !e.Plan.onDemand() && e.lives() {", "if false {"},
	{"is awake when it comes to be on demand, dead or alive", "!e.Plan.onDemand() && e.lives() {", "!e.Plan.onDemand() {"},
	{"is awake with each manifest", "p.onDemand() && !e.Plan.onDemand() && e.lives()", "p.onDemand() && e.lives()"},
	{"stops a stranger that somebody uses", "e.Trigger, e.Awake = g.Trigger, e.Plan.onDemand()", "e.Trigger = g.Trigger"},
	{"wakes up with the machine", "s.Awake, s.Asleep, s.Owed, s.Trigger = false, false, \"\", \"started\"", "s.Asleep, s.Owed, s.Trigger = false, \"\", \"started\""},
	{"asleep is pending", "if s.rests() {\n\t\tswitch {", "if !s.wanted() {\n\t\tswitch {"},
	{"asleep for no reason", "case s.Asleep:\n\t\treturn", "case false:\n\t\treturn"},
	{"asleep, it waits", "if !ok || service.rests() {", "if !ok || !service.wanted() {"},
	{"forgets that it was called", "s.Awake == other.Awake &&", ""},
	{"a plan's new way to sleep is not seen", " && p.OnDemand == q.OnDemand", ""},
}

// TestFaultsHaveTheirPlace is for those who change what a fault is about.
func TestFaultsHaveTheirPlace(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_test.go") {
			all.Write(text)
		}
	}
	for _, f := range faults {
		if n := strings.Count(all.String(), f.from); n != 1 {
			t.Errorf("%s: %q is there %d times", f.name, f.from, n)
		}
	}
}

// TestFaults plants each fault in a copy of the package, whose tests must
// fail then. It takes minutes: run it with STEAD_MUTATE=1, or the number of
// the one fault to plant, and -v for what caught which.
func TestFaults(t *testing.T) {
	if os.Getenv("STEAD_MUTATE") == "" {
		t.Skip("set STEAD_MUTATE=1")
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			dir := t.TempDir()
			copyPackage(t, dir)
			plant(t, dir, f.from, f.to)
			c := exec.Command("go", "test", "-count=1", "-timeout=60s", "-model.seeds=2000", ".")
			c.Dir = dir
			c.Env = append(os.Environ(), "STEAD_MUTATE=", "GOFLAGS=-vet=off", "GOWORK=off")
			out, err := c.CombinedOutput()
			switch {
			case err == nil:
				t.Error("nothing catches it")
			case strings.Contains(string(out), "[build failed]"):
				t.Errorf("does not compile:\n%s", out)
			default:
				t.Log("caught by", caught(string(out)))
			}
		})
	}
}

func copyPackage(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, file), string(text))
	}
	write(t, filepath.Join(dir, "go.mod"), "module supervisor\n\ngo 1.26\n")
}

// plant replaces from, which is there exactly once in the package.
func plant(t *testing.T, dir, from, to string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	planted := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), from); n > 0 && !strings.HasSuffix(path, "_test.go") {
			planted += n
			write(t, path, strings.Replace(string(text), from, to, 1))
		}
	}
	if planted != 1 {
		t.Fatalf("%q is there %d times", from, planted)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

var (
	failed = regexp.MustCompile(`--- FAIL: (\S+/\S+)`)
	seed   = regexp.MustCompile(`seed \d+: .*`)
)

// caught names what failed: stories, and what the model said.
func caught(out string) string {
	var by []string
	for _, m := range failed.FindAllStringSubmatch(out, -1) {
		by = append(by, m[1])
	}
	if s := seed.FindString(out); s != "" {
		by = append(by, "TestModel: "+s)
	}
	if len(by) == 0 {
		by = append(by, strings.SplitN(out, "\n", 2)[0])
	}
	return strings.Join(by, ", ")
}
