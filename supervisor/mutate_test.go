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
	{"lets two drain", "t.stop(e, old, false) // at most one drains", "// nothing"},
	{"never ends a drain", "e.Generations[i]; g.Phase == PhaseDraining", "e.Generations[i]; false && g.Phase == PhaseDraining"},
	{"forgets the drain in Wake", "drained = earlier(drained, g.Deadline)", "_ = g"},
	{"forgets the slot limit in Wake", "if waits {", "if waits && false {"},
	{"keeps a slot for ever", "&& now.Before(g.Since.Add(slotLimit))", ""},
	{"takes a slot back after an exit", " || i.Attempt > 1", ""},
	{"one slot too many", "free := t.state.Limit", "free := t.state.Limit + 1"},
	{"what begins to wait goes unseen", "case restless:", "case false:"},
	{"what came to rest stays restless", "case there && !restless:", "case false:"},
	{"restless as they were", "\t\tall[at] = s\n", ""},
	{"writes to its input's restless", "t.state.restless = slices.Clone(t.state.restless)", "_ = 0"},
	{"slots by name only", "cmp.Compare(g.level[a], g.level[b]), compareNames(a, b))", "compareNames(a, b))"},
	{"starts before the build", "g.Phase = PhaseBuilding\n", ""},
	{"a broken build is a success", "case b.OK:", "case true:"},
	{"forgets to cancel a build", "t.emit(Cancel{e.id(g.Number)})\n", ""},
	{"ignores unmet needs", "case !met:", "case !met && false:"},
	{"does not tell dependents", "if now == e.last {", "if true {"},
	{"does not tell dependencies on the way down", "now.blocks != e.last.blocks", "false"},
	{"goes down in any order", "if ok && !s.wanted() && s.runs()", "if false && ok && !s.wanted() && s.runs()"},
	{"a wanted dependent blocks the way down", "ok && !s.wanted() && s.runs() && t.state", "ok && s.runs() && t.state"},
	{"up leaves dependencies behind", "todo = append(todo, name.sibling(d.Service))", "_ = d"},
	{"up does not retry", "e.Want.Up = true\n\te.retry()", "e.Want.Up = true"},
	{"another revision does not retry", "if e.Plan.Revision != p.Revision {", "if false {"},
	{"tries a rejected revision again", "if e.Rejected != \"\" && e.Rejected == e.Plan.Revision {", "if false {"},
	{"forgets to reject", "\te.Rejected, e.Cause = g.Plan.Revision, g.Cause\n", ""},
	{"keeps a trial that died", "!latest.WasReady && latest.died():", "false:"},
	{"every start is a trial", "Trial: e.serving() != nil})", "Trial: true})"},
	{"supersedes what serves", " && g.Number != e.Routed {", " {"},
	{"leaves a superseded one", "t.stop(e, g, !g.WasReady)", "_ = g"},
	{"restart overlaps", "g.Plan.OneShot || g.Plan.Reload == ReloadRestart", "g.Plan.OneShot"},
	{"one-shots overlap", "g.Plan.OneShot || g.Plan.Reload == ReloadRestart", "g.Plan.Reload == ReloadRestart"},
	{"stops without holding", "e.Routed, e.Held = 0, true\n\tt.emit(Hold{e.Name})", "e.Routed, e.Held = 0, true"},
	{"holds for ever", "case e.Held && e.fresh() == nil:", "case false:"},
	{"runs a completed one-shot again", "return latest.Phase == PhaseCompleted || ", "return "},
	{"does not run a named one-shot again", "if s, ok := t.get(name); ok && s.Plan.OneShot && s.completed() {", "if s, ok := t.get(name); ok && s.Plan.OneShot && false {"},
	{"ignores All", "if w.All {", "if false {"},
	{"forgets a completed one-shot", "g.Plan.OneShot && g.Phase == PhaseCompleted && !e.Gone", "false"},
	{"ignores a restart", " && g.Nonce == s.Want.Nonce", ""},
	{"lost counts as failed", "latest.Phase == PhaseFailed && latest.Cause.Kind != CauseRuntime\n}", "latest.Phase == PhaseFailed\n}"},
	{"a retry after giving up", "(g.Phase != PhaseFailed || g.Cause.Kind == CauseRuntime)", "true"},
	{"dependents are not restarted", "t.edit(name).Want.Nonce++\n\t\t}\n\t}\n}\n\nfunc (s *Service) restartsWith", "_ = g\n\t\t}\n\t}\n}\n\nfunc (s *Service) restartsWith"},
	{"all dependents are restarted", "if d.Service == service && d.Restart {", "if d.Service == service {"},
	{"the first route restarts dependents", "if before == 0 || before == number {", "if before == number {"},
	{"acts before Synced", "if t.state.Synced {\n\t\tt.settle()", "if true {\n\t\tt.settle()"},
	{"does not say again what holds", "\t\t\tt.restate()\n", ""},
	{"does not start again what may not have arrived", "g.Phase == PhaseStarting && !g.Confirmed", "false"},
	{"what is not reported lives on", "case g.running():", "case false:"},
	{"strangers run on", "t.commandWhenSynced(Stop{ID: r.ID})", "_ = 0"},
	{"adopts anything", "!e.wanted() || r.Revision != e.Plan.Revision", "!e.wanted()"},
	{"numbers fall behind strangers", "\te.Last = max(e.Last, g.Number)\n", ""},
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
