package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stead-dev/stead/runtime"
)

// fakeCgroups is a tree of plain files that looks like a delegated cgroup v2:
// controllers are there in parent, and own processes alone are in it.
func fakeCgroups(t *testing.T, controllers string, inside ...int) cgroupPlace {
	t.Helper()
	dir := t.TempDir()
	p := cgroupPlace{
		known: filepath.Join(dir, "proc-cgroups"), mount: filepath.Join(dir, "mount"),
		parent: filepath.Join(dir, "mount", "scope"), base: filepath.Join(dir, "mount", "scope", "stead-x"),
	}
	put := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(p.known, "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t1\t1\nmemory\t0\t1\t0\npids\t0\t5\t1\n")
	put(filepath.Join(p.mount, controllersName), controllers)
	for _, cgroup := range []string{p.parent, p.base} {
		put(filepath.Join(cgroup, subtreeName), "")
		put(filepath.Join(cgroup, "cgroup.events"), "populated 1\nfrozen 0\n")
	}
	put(filepath.Join(p.parent, controllersName), controllers)
	put(filepath.Join(p.base, controllersName), "")
	put(filepath.Join(p.parent, procsName), strings.Trim(strings.Join(strings.Fields(fmt.Sprint(inside)), "\n"), "[]"))
	put(filepath.Join(p.base+"-runtime", procsName), "")
	return p
}

func content(path ...string) string {
	text, _ := os.ReadFile(filepath.Join(path...))
	return string(text)
}

// A controller is handed down, and the runtime has made room for that.
func TestControllersAreEnabled(t *testing.T) {
	p := fakeCgroups(t, "cpu memory pids\n", 42)
	l := &limiter{place: p, own: 42}
	if _, err := l.enable([]string{"memory"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ got, want string }{
		{content(p.parent, subtreeName), "+memory"}, {content(p.base, subtreeName), "+memory"},
		{content(p.base+"-runtime", procsName), "42"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// The limits of a spec become files, and what cannot be kept has its reason.
func TestWhyLimitsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		place func(t *testing.T) cgroupPlace
		of    runtime.Limits
		want  string
	}{
		{"bound to v1", func(t *testing.T) cgroupPlace { return fakeCgroups(t, "pids\n", 42) }, runtime.Limits{MilliCPU: 500},
			"cpu limits need the cgroup v2 cpu controller, which this machine has bound to v1"},
		{"switched off", func(t *testing.T) cgroupPlace { return fakeCgroups(t, "pids\n", 42) }, runtime.Limits{Memory: 1},
			"memory limits need the cgroup v2 memory controller, which is switched off in this machine's kernel"},
		{"not delegated", func(t *testing.T) cgroupPlace {
			p := fakeCgroups(t, "pids\n", 42)
			os.WriteFile(filepath.Join(p.parent, controllersName), nil, 0o600)
			return p
		}, runtime.Limits{PIDs: 1}, "process limits need the cgroup v2 pids controller, which is not delegated to stead's cgroup "},
		{"unknown to the kernel", func(t *testing.T) cgroupPlace {
			p := fakeCgroups(t, "\n", 42)
			os.WriteFile(p.known, []byte("#subsys_name\thierarchy\tnum_cgroups\tenabled\n"), 0o600)
			return p
		}, runtime.Limits{PIDs: 1}, "which this machine's kernel does not have"},
		{"others in the cgroup", func(t *testing.T) cgroupPlace { return fakeCgroups(t, "pids\n", 42, 43) }, runtime.Limits{PIDs: 1},
			"which cannot be enabled while stead shares the cgroup"},
		{"the second of two", func(t *testing.T) cgroupPlace { return fakeCgroups(t, "pids memory\n", 42) },
			runtime.Limits{Memory: 1, MilliCPU: 1}, "cpu limits need the cgroup v2 cpu controller, which this machine has bound to v1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := (&cgroups{limiter: &limiter{place: c.place(t), own: 42}}).limitable(c.of)
			if runtime.Class(err) != runtime.Unsupported || runtime.Hint(err) == "" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	var none *cgroups
	if err := none.limitable(runtime.Limits{PIDs: 1}); runtime.Class(err) != runtime.Unsupported {
		t.Error(err)
	}
	if err := none.limitable(runtime.Limits{}); err != nil {
		t.Error(err)
	}
}

func TestLimitsAreWritten(t *testing.T) {
	g := &cgroup{dir: t.TempDir()}
	limits := runtime.Limits{Memory: 512 << 20, MilliCPU: 1500, PIDs: 200}
	if err := g.limit(limits); err == nil || !strings.Contains(err.Error(), "memory.max") {
		t.Errorf("without files: %v", err)
	}
	for _, name := range []string{"memory.max", "memory.oom.group", "cpu.max", "pids.max"} { // no swap here
		if err := os.WriteFile(filepath.Join(g.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.limit(limits); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"memory.max": "536870912", "memory.oom.group": "1", "cpu.max": "150000 100000", "pids.max": "200", "memory.swap.max": "",
	} {
		if got := content(g.dir, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := limitFiles(runtime.Limits{MilliCPU: 1}); got[0].value != "1000 100000" {
		t.Errorf("a thousandth of a core is %v", got)
	}
}

func TestOutOfMemoryIsWhatTheCgroupSays(t *testing.T) {
	g := &cgroup{dir: t.TempDir()}
	for text, want := range map[string]bool{
		"": false, "low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\n": false, "max 7\noom 1\noom_kill 2\noom_group_kill 1\n": true,
	} {
		if err := os.WriteFile(filepath.Join(g.dir, "memory.events"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := g.outOfMemory(); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// On whatever machine this is: limits hold, or are refused with a reason.
// Here it is not known beforehand which; a machine that is known to have the
// controllers has to run this, too.
func TestLimitsHoldOrAreRefused(t *testing.T) {
	b := start(t, Options{}).synced()
	s := b.spec("block", func(s *runtime.Spec) { s.Limits = runtime.Limits{Memory: 64 << 20, PIDs: 50} })
	if _, err := b.Start(context.Background(), s); err != nil {
		if runtime.Class(err) != runtime.Unsupported || runtime.Hint(err) == "" || !strings.Contains(err.Error(), "limits need the cgroup v2 ") {
			t.Errorf("%v (hint %q)", err, runtime.Hint(err))
		}
		return
	}
	e := b.untilKind(s.ID, runtime.StartedEvent)
	cgroup := bytes.TrimPrefix(bytes.TrimSpace([]byte(content("/proc", fmt.Sprint(e.Started.PID), "cgroup"))), []byte("0::"))
	if got := content(b.cgroups.limiter.place.mount, string(cgroup), "memory.max"); strings.TrimSpace(got) != fmt.Sprint(64<<20) {
		t.Errorf("memory.max of %s is %q", cgroup, got)
	}
	b.stop(s.ID, runtime.StopRequest{})
	b.untilFinal(s.ID)
	// tail keeps what it reads until a line ends, and this one never does.
	hungry := b.start(b.spec("", func(s *runtime.Spec) {
		s.Command, s.Environment = []string{"/bin/sh", "-c", "tail -n 1 /dev/zero"}, nil
		s.Limits = runtime.Limits{Memory: 64 << 20}
	}))
	if e := b.untilKind(hungry, runtime.ExitedEvent); !e.Exit.OOM {
		t.Errorf("%+v", *e.Exit)
	}
	b.untilFinal(hungry)
}
