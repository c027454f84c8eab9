package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// TestControllers proves limits on the real controllers of a cgroup v2. It
// moves processes between cgroups of the machine, pid 1 among them, so it asks
// for one that is thrown away: `make uml` boots that.
func TestControllers(t *testing.T) {
	if os.Getenv("STEAD_THROWAWAY") == "" {
		t.Skip("needs: STEAD_THROWAWAY=1, in a machine that is thrown away and has cgroup v2 controllers (make uml)")
	}
	mount, _, err := ownCgroup()
	if err != nil {
		t.Fatal(err)
	}
	if err := order(mount, subtreeName, "+memory +cpu +pids"); err != nil {
		t.Fatalf("needs: the controllers of a cgroup v2: %v", err)
	}
	for _, part := range []struct {
		name string
		test func(t *testing.T, mount string)
	}{
		{"MemoryEndsTheWholeTree", memoryEndsTheWholeTree},
		{"SwapIsCounted", swapIsCounted},
		{"ProcessesAreCounted", processesAreCounted},
		{"CPUIsThrottled", cpuIsThrottled},
		{"EscapedTreeEnds", escapedTreeEnds},
		{"Leaves", leaves},
		{"MissingControllerIsRefused", missingControllerIsRefused},
		{"StrangersInTheCgroup", strangersInTheCgroup},
		{"NothingIsLeft", nothingIsLeft},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, mount) })
	}
}

// within moves this process into a new cgroup below the mount, where systemd
// would have put the runtime, and back at the end.
func within(t *testing.T, mount, name, controllers string) string {
	t.Helper()
	_, before, err := ownCgroup()
	if err != nil {
		t.Fatal(err)
	}
	above := filepath.Join(mount, "above-"+name)
	dir := filepath.Join(above, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self := strconv.Itoa(os.Getpid())
	t.Cleanup(func() {
		if err := order(before, procsName, self); err != nil {
			t.Error(err)
		}
		if removeCgroup(above); exists(above) {
			t.Errorf("%s cannot be removed", above)
		}
	})
	if controllers != "" {
		if err := order(above, subtreeName, controllers); err != nil {
			t.Fatal(err)
		}
	}
	if err := order(dir, procsName, self); err != nil {
		t.Fatal(err)
	}
	return dir
}

const everything = "+memory +cpu +pids"

// limited starts a service with limits, and returns it with its cgroup.
func (b *bench) limited(script string, limits runtime.Limits) (runtime.ID, string) {
	b.t.Helper()
	id := b.start(b.spec(script, func(s *runtime.Spec) { s.Limits = limits }))
	e := b.untilKind(id, runtime.StartedEvent)
	own := strings.TrimSpace(content("/proc", fmt.Sprint(e.Started.PID), "cgroup"))
	return id, filepath.Join(b.cgroups.limiter.place.mount, strings.TrimPrefix(own, "0::"))
}

// shell makes a limited service a script of the shell.
func (b *bench) shell(script string, limits runtime.Limits) runtime.ID {
	b.t.Helper()
	return b.start(b.spec("", func(s *runtime.Spec) {
		s.Command, s.Environment, s.Limits = []string{"/bin/sh", "-c", script}, nil, limits
	}))
}

// memoryEndsTheWholeTree: it is a child that takes too much, and everybody
// ends, also who is in a session of his own, and the next attempt is started.
func memoryEndsTheWholeTree(t *testing.T, mount string) {
	within(t, mount, "memory.scope", everything)
	b := start(t, Options{}).synced()
	id := b.start(b.spec("orphan:note:hidden+block child:await:hidden+eat:200+block block", func(s *runtime.Spec) {
		s.Limits = runtime.Limits{Memory: 64 << 20}
		s.Restart = runtime.Restart{Policy: runtime.RestartAlways, Min: time.Millisecond, Limit: 2, Window: time.Minute}
	}))
	for attempt := 1; attempt <= 3; attempt++ {
		e := b.untilKind(id, runtime.ExitedEvent)
		if e.Instance.Attempt != attempt || !e.Exit.OOM || e.Exit.Signal != "SIGKILL" || e.Exit.Expected {
			t.Errorf("attempt %d: %+v", attempt, *e.Exit)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(content(b.dir, "hidden"))) // a pid may be somebody else's by now
		if err != nil {
			t.Fatalf("the escaped child noted no pid: %v", err)
		}
		if syscall.Kill(pid, 0) == nil && strings.HasPrefix(content("/proc", fmt.Sprint(pid), "cmdline"), "helper") {
			t.Errorf("attempt %d: its escaped child %d lives", attempt, pid)
		}
	}
	if s := b.untilFinal(id); s.Phase != runtime.GenerationFailed || !strings.Contains(s.Reason, "out of memory") {
		t.Errorf("status %+v", s)
	}
}

// swapIsCounted: what is over the limit is not swapped out instead. A service
// below it goes on.
func swapIsCounted(t *testing.T, mount string) {
	if !strings.Contains(content("/proc/swaps"), "partition") {
		t.Fatal("needs: swap, or this proves nothing")
	}
	within(t, mount, "swap.scope", everything)
	b := start(t, Options{}).synced()
	modest, cgroup := b.limited("eat:32 print:ate block", runtime.Limits{Memory: 96 << 20})
	hungry, _ := b.limited("eat:128 print:ate block", runtime.Limits{Memory: 96 << 20})
	if e := b.untilKind(hungry, runtime.ExitedEvent); !e.Exit.OOM {
		t.Errorf("exit %+v", *e.Exit)
	}
	if got := strings.TrimSpace(content(cgroup, "memory.swap.current")); got != "0" {
		t.Errorf("of what fits %q is swapped out", got)
	}
	b.stop(modest, runtime.StopRequest{})
	if e := b.untilKind(modest, runtime.ExitedEvent); e.Exit.OOM {
		t.Errorf("what was stopped is said to have been out of memory: %+v", *e.Exit)
	}
	if got := b.logs.text(modest.Service, runtime.StreamStdout); !strings.Contains(got, "ate") {
		t.Errorf("what fits wrote %q", got)
	}
}

func processesAreCounted(t *testing.T, mount string) {
	within(t, mount, "pids.scope", everything)
	b := start(t, Options{}).synced()
	id := b.shell("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done; echo all", runtime.Limits{PIDs: 5})
	e := b.untilKind(id, runtime.ExitedEvent)
	out, complaints := b.logs.text(id.Service, runtime.StreamStdout), b.logs.text(id.Service, runtime.StreamStderr)
	if e.Exit.Code == 0 || e.Exit.OOM || out != "" || !strings.Contains(strings.ToLower(complaints), "fork") {
		t.Errorf("exit %+v, it wrote %q and %q", *e.Exit, out, complaints)
	}
	b.untilFinal(id)
}

// cpuIsThrottled: the kernel counts how often it made a service wait. A tenth
// of a core was given; half of one is far more than any slack.
func cpuIsThrottled(t *testing.T, mount string) {
	within(t, mount, "cpu.scope", everything)
	b := start(t, Options{}).synced()
	began := time.Now()
	id, cgroup := b.limited("burn", runtime.Limits{MilliCPU: 100})
	stat := func(name string) int {
		all := words(cgroup, "cpu.stat")
		for i := 0; i+1 < len(all); i += 2 {
			if all[i] == name {
				n, _ := strconv.Atoi(all[i+1])
				return n
			}
		}
		return 0
	}
	for end := time.Now().Add(30 * time.Second); stat("nr_throttled") < 10; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is not throttled: %q", content(cgroup, "cpu.stat"))
		}
	}
	used := time.Duration(stat("usage_usec")) * time.Microsecond
	if took := time.Since(began); used > took/2 {
		t.Errorf("with a tenth of a core it used %s in %s", used, took)
	}
	b.stop(id, runtime.StopRequest{Grace: time.Millisecond})
	b.untilFinal(id)
}

// escapedTreeEnds: limited or not, whoever forked twice into a session of his
// own, without environment, ends with the service.
func escapedTreeEnds(t *testing.T, mount string) {
	within(t, mount, "tree.scope", everything)
	b := start(t, Options{}).synced()
	for i, limits := range []runtime.Limits{{}, {Memory: 256 << 20, MilliCPU: 900, PIDs: 100}} {
		note := filepath.Join(b.dir, fmt.Sprint("hidden", i))
		id, cgroup := b.limited("orphan:ignore-term+note:"+note+"+block ignore-term block", limits)
		for end := time.Now().Add(20 * time.Second); !exists(note) && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		b.stop(id, runtime.StopRequest{Grace: 50 * time.Millisecond})
		e := b.untilKind(id, runtime.ExitedEvent)
		if !exists(note) || e.Exit.Leftovers == 0 || e.Exit.OOM {
			t.Errorf("%+v: exit %+v", limits, *e.Exit)
		}
		b.untilFinal(id)
		if text := content(cgroup, procsName); text != "" {
			t.Errorf("%+v: left in the cgroup: %q", limits, text)
		}
	}
}

// leaves: wherever the runtime is, it makes room for what it enables.
func leaves(t *testing.T, mount string) {
	for _, c := range []struct {
		name string
		leaf func(b *bench, dir string) string
	}{
		{"run-1.scope", func(_ *bench, dir string) string { return filepath.Join(dir, "runtime") }},
		{"unit.service", func(b *bench, _ string) string { return b.cgroups.base + "-runtime" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := within(t, mount, c.name, everything)
			b := start(t, Options{}).synced()
			id, cgroup := b.limited("block", runtime.Limits{Memory: 64 << 20, MilliCPU: 250, PIDs: 40})
			for name, want := range map[string]string{
				"memory.max": fmt.Sprint(64 << 20), "memory.swap.max": "0", "memory.oom.group": "1", "cpu.max": "25000 100000", "pids.max": "40",
			} {
				if got := strings.TrimSpace(content(cgroup, name)); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			_, own, err := ownCgroup()
			if want := c.leaf(b, dir); err != nil || own != want {
				t.Errorf("the runtime is in %s, want %s (%v)", own, want, err)
			}
			b.stop(id, runtime.StopRequest{})
			b.untilFinal(id)
			if exists(cgroup) {
				t.Errorf("%s is left", cgroup)
			}
		})
	}
}

func missingControllerIsRefused(t *testing.T, mount string) {
	dir := within(t, mount, "few.scope", "+pids")
	b := start(t, Options{}).synced()
	for limits, want := range map[runtime.Limits]string{
		{Memory: 64 << 20}:           "memory limits need the cgroup v2 memory controller, which is not delegated to stead's cgroup " + dir,
		{MilliCPU: 500, PIDs: 10}:    "cpu limits need the cgroup v2 cpu controller, which is not delegated to stead's cgroup " + dir,
		{Memory: 1 << 30, PIDs: 100}: "memory limits need",
	} {
		_, err := b.Start(context.Background(), b.spec("block", func(s *runtime.Spec) { s.Limits = limits }))
		if runtime.Class(err) != runtime.Unsupported || runtime.Hint(err) == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v (hint %q), want %q", limits, err, runtime.Hint(err), want)
		}
	}
	id, cgroup := b.limited("block", runtime.Limits{PIDs: 33})
	if got := strings.TrimSpace(content(cgroup, "pids.max")); got != "33" {
		t.Errorf("what can be kept is %q", got)
	}
	b.stop(id, runtime.StopRequest{})
	b.untilFinal(id)
}

// strangersInTheCgroup: others are not stead's to move, so limits are refused;
// what has none works.
func strangersInTheCgroup(t *testing.T, mount string) {
	_, before, err := ownCgroup()
	if err != nil {
		t.Fatal(err)
	}
	dir := within(t, mount, "shared.service", everything)
	if err := order(dir, procsName, "1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := order(before, procsName, "1"); err != nil {
			t.Error(err)
		}
	})
	b := start(t, Options{}).synced()
	_, err = b.Start(context.Background(), b.spec("block", func(s *runtime.Spec) { s.Limits = runtime.Limits{PIDs: 50} }))
	if want := "while stead shares the cgroup " + dir + " with process 1"; runtime.Class(err) != runtime.Unsupported || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if e := b.untilKind(b.start(b.spec("exit:0")), runtime.ExitedEvent); e.Exit.Code != 0 {
		t.Errorf("without limits: %+v", *e.Exit)
	}
}

func nothingIsLeft(t *testing.T, mount string) {
	left, _ := filepath.Glob(filepath.Join(mount, "*stead*"))
	more, _ := filepath.Glob(filepath.Join(mount, "above-*"))
	if left = append(left, more...); len(left) > 0 {
		t.Errorf("cgroups are left: %q", left)
	}
}
