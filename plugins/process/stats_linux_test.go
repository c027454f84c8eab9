package process

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

func TestUsageFromACgroup(t *testing.T) {
	dir := t.TempDir()
	below := filepath.Join(dir, "worker")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	file := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := &cgroup{dir: dir}
	sums := runtime.Stat{CPU: time.Second, Memory: 100, Read: 7, Written: -1, PIDs: 1}

	file(filepath.Join(dir, "cpu.stat"), "usage_usec 2500000\nuser_usec 1\nsystem_usec 2\n")
	file(filepath.Join(dir, procsName), "11\n12\n")
	file(filepath.Join(below, procsName), "13\n")
	one := sums
	g.measure(&one)
	if want := (runtime.Stat{CPU: 2500 * time.Millisecond, Memory: 100, Read: 7, Written: -1, PIDs: 3}); one != want {
		t.Errorf("without controllers: %+v, want %+v", one, want)
	}

	file(filepath.Join(dir, "memory.current"), "5000\n")
	file(filepath.Join(dir, "memory.stat"), "anon 1\ninactive_file 2000\nactive_file 7\n")
	file(filepath.Join(dir, "io.stat"), "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=1 wios=1 dbytes=0 dios=0\n")
	one = sums
	g.measure(&one)
	if want := (runtime.Stat{CPU: 2500 * time.Millisecond, Memory: 3000, Read: 11, Written: 22, PIDs: 3}); one != want {
		t.Errorf("with all: %+v, want %+v", one, want)
	}
}

func TestUsageOfAProcess(t *testing.T) {
	var one sum
	if !one.measure(os.Getpid()) || one.private <= 0 || one.processes != 1 {
		t.Errorf("%+v", one)
	}
	if one.measure(1 << 30) {
		t.Error("a process that does not exist was measured")
	}
}

// Memory that processes share is counted once, storage only when all is known.
func TestSumOverProcesses(t *testing.T) {
	var all sum
	all.add(sum{cpu: 1, private: 10, shared: 100, read: 1, written: 2, processes: 1})
	all.add(sum{cpu: 2, private: 20, shared: 90, read: 3, written: 4, processes: 1})
	if want := (sum{cpu: 3, private: 30, shared: 100, read: 4, written: 6, processes: 2}); all != want {
		t.Errorf("%+v, want %+v", all, want)
	}
	all.add(sum{read: -1, written: -1, processes: 1})
	if all.read != -1 || all.written != -1 {
		t.Errorf("%+v", all)
	}
}

func TestCountersDoNotFall(t *testing.T) {
	var u usage
	id := runtime.InstanceID{ID: runtime.ID{Service: "web", Number: 1}, Attempt: 1}
	u.raise([]runtime.Stat{{Instance: id, CPU: 5, Read: 5, Written: 5, Memory: 5}})
	now := []runtime.Stat{{Instance: id, CPU: 3, Read: -1, Written: 6, Memory: 3}}
	u.raise(now)
	if want := (runtime.Stat{Instance: id, CPU: 5, Read: 5, Written: 6, Memory: 3}); now[0] != want {
		t.Errorf("%+v, want %+v", now[0], want)
	}
	u.raise(nil)
	if len(u.most) != 0 {
		t.Error("it remembers what has ended")
	}
}
