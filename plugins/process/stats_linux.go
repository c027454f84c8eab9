package process

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// measures says that children.usage knows something here.
const measures = true

// clockTick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on
// everything that Go runs on (proc_pid_stat(5), sysconf(3)).
const clockTick = time.Second / 100

// sum is what the processes of one tree have used together.
type sum struct {
	cpu           time.Duration
	private       int64 // bytes of memory that are in no file
	shared        int64 // the largest one's: such memory is mostly the same for all of a tree
	read, written int64 // -1: not known
	processes     int
}

// usage returns what each instance has used, in their order. The cgroup of a
// tree knows best, of whom it may be asked: it counts pages once, and those
// who have ended too. Which controllers are there depends on the machine, and
// on the limits of its services; the rest is the sum over /proc.
func (c *children) usage(live []*instance) []runtime.Stat {
	if len(live) == 0 {
		return nil
	}
	sums := c.sums(live)
	stats := make([]runtime.Stat, len(live))
	for i, in := range live {
		s := sums[in.tree.mark]
		stats[i] = runtime.Stat{CPU: s.cpu, Memory: s.private + s.shared, Read: s.read, Written: s.written, PIDs: s.processes}
		if in.tree.cgroup != nil && s.processes > 0 {
			in.tree.cgroup.measure(&stats[i])
		}
	}
	return stats
}

// sums looks at each process there is, and adds up those of our trees. Of a
// tree whose mark cannot be read, because the kernel did not let it be set,
// only what descends from the leader is seen.
func (c *children) sums(live []*instance) map[uint64]*sum {
	sums := make(map[uint64]*sum, len(live))
	for _, in := range live {
		sums[in.tree.mark] = new(sum)
	}
	self := os.Getpid() // has the mark of the tree that was started last
	_ = eachProcess(func(pid int) {
		mark := c.marker.read(pid)
		if s := sums[mark]; s != nil && mark != 0 && pid != self {
			var one sum
			// the second look: the pid was not given to somebody else meanwhile
			if one.measure(pid) && c.marker.read(pid) == mark {
				s.add(one)
			}
		}
	})
	for _, in := range live {
		if s := sums[in.tree.mark]; s.processes == 0 {
			eachBelow(in.child.pid, func(pid int) bool {
				var one sum
				if one.measure(pid) {
					s.add(one)
				}
				return true
			})
		}
	}
	return sums
}

func (s *sum) add(one sum) {
	if s.processes == 0 {
		s.read, s.written = one.read, one.written
	} else if s.read < 0 || one.read < 0 {
		s.read, s.written = -1, -1
	} else {
		s.read, s.written = s.read+one.read, s.written+one.written
	}
	s.cpu += one.cpu
	s.private += one.private
	s.shared = max(s.shared, one.shared)
	s.processes++
}

// measure reads what one process has used, with the children that it has
// waited for. It reports false for a process that has ended.
func (s *sum) measure(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return false
	}
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		ticks, _ := strconv.ParseInt(string(field), 10, 64)
		s.cpu += time.Duration(ticks) * clockTick
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	s.private, s.shared = kilobytes(status, "RssAnon"), kilobytes(status, "RssShmem")
	s.read, s.written = storage(pid)
	s.processes = 1
	return true
}

func kilobytes(status []byte, name string) int64 {
	value, _, _ := bytes.Cut([]byte(statusField(status, name)), []byte(" "))
	n, _ := strconv.ParseInt(string(value), 10, 64)
	return n << 10
}

// storage reads /proc/PID/io (proc_pid_io(5)), which is there for whoever may
// trace the process.
func storage(pid int) (read, written int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return -1, -1
	}
	read, _ = strconv.ParseInt(statusField(text, "read_bytes"), 10, 64)
	written, _ = strconv.ParseInt(statusField(text, "write_bytes"), 10, 64)
	return read, written
}

// measure puts what the cgroup's files say into s (cgroup-v2.rst). cpu.stat is
// always there, the others where their controller is enabled.
func (g *cgroup) measure(s *runtime.Stat) {
	if text, err := os.ReadFile(filepath.Join(g.dir, "cpu.stat")); err == nil {
		if us, ok := flatKey(text, "usage_usec"); ok {
			s.CPU = time.Duration(us) * time.Microsecond
		}
	}
	if text, err := os.ReadFile(filepath.Join(g.dir, "memory.current")); err == nil {
		s.Memory, _ = strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
		stat, _ := os.ReadFile(filepath.Join(g.dir, "memory.stat"))
		idle, _ := flatKey(stat, "inactive_file") // the kernel takes these pages first
		s.Memory = max(0, s.Memory-idle)
	}
	if text, err := os.ReadFile(filepath.Join(g.dir, "io.stat")); err == nil {
		s.Read, s.Written = nestedSum(text, "rbytes"), nestedSum(text, "wbytes")
	}
	if n := countProcesses(g.dir); n > 0 {
		s.PIDs = n
	}
}

// flatKey reads one value of a file of "KEY VALUE" lines.
func flatKey(text []byte, key string) (int64, bool) {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(key+" ")); ok {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// nestedSum adds up one value over a file of "NAME KEY=VALUE …" lines.
func nestedSum(text []byte, key string) int64 {
	var total int64
	for _, word := range bytes.Fields(text) {
		if value, ok := bytes.CutPrefix(word, []byte(key+"=")); ok {
			n, _ := strconv.ParseInt(string(value), 10, 64)
			total += n
		}
	}
	return total
}

// countProcesses counts those in the cgroup and below. pids.current would
// count threads too.
func countProcesses(dir string) int {
	n := 0
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			text, _ := os.ReadFile(filepath.Join(path, procsName))
			n += bytes.Count(text, []byte("\n"))
		}
		return nil
	})
	return n
}
