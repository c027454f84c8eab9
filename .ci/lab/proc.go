package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one of a stead: its daemon, its runtime, a service, or what a
// service has left.
type process struct {
	pid, parent int
	name        string // of the executable
	id          string // STEAD_ID
	command     string
}

// service returns the service that the process is an instance of, "" for none.
func (p process) service() string {
	if parts := strings.Split(p.id, "/"); len(parts) == 6 {
		return parts[2]
	}
	return ""
}

// label is service/generation/replica/attempt, as stead's events name it.
func (p process) label() string {
	if parts := strings.SplitN(p.id, "/", 3); len(parts) == 3 {
		return parts[2]
	}
	return ""
}

// processes looks at all of /proc, and returns those that have the home in
// their environment, work below the directory, or descend from one that does.
// A process that cleared its environment is found by the latter two.
func (s *stead) processes() []process {
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	all := map[int]process{}
	ours := map[int]bool{}
	for _, file := range files {
		pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
		p, ok := inspect(pid)
		if !ok || pid == os.Getpid() {
			continue
		}
		all[pid] = p
		environment := variables(pid)
		cwd, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
		ours[pid] = environment["STEAD_HOME"] == s.home() || cwd == s.dir || strings.HasPrefix(cwd, s.dir+"/")
	}
	var list []process
	for pid, p := range all {
		for at := pid; at > 1; at = all[at].parent {
			if ours[at] {
				list = append(list, p)
				break
			}
		}
	}
	return list
}

// inspect is false for a process that has ended.
func inspect(pid int) (process, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	line := string(text)
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:]) // proc_pid_stat(5)
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return process{}, false
	}
	parent, _ := strconv.Atoi(fields[1])
	exe, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	command, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return process{
		pid: pid, parent: parent, id: variables(pid)["STEAD_ID"],
		name: filepath.Base(strings.TrimSuffix(exe, " (deleted)")), command: strings.ReplaceAll(string(command), "\x00", " "),
	}, true
}

func variables(pid int) map[string]string {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	all := map[string]string{}
	for _, one := range strings.Split(string(text), "\x00") {
		if key, value, ok := strings.Cut(one, "="); ok {
			all[key] = value
		}
	}
	return all
}

// named returns the processes with an executable of that name.
func (s *stead) named(name string) []process {
	var list []process
	for _, p := range s.processes() {
		if p.name == name {
			list = append(list, p)
		}
	}
	return list
}

// leader returns the process that the runtime started for a service.
func (s *stead) leader(service string) (process, bool) {
	all := s.processes()
	spines := map[int]bool{}
	for _, p := range all {
		spines[p.pid] = p.name == "stead-runtime-process"
	}
	for _, p := range all {
		if p.service() == service && spines[p.parent] {
			return p, true
		}
	}
	return process{}, false
}

// kill ends a process at once and returns when it is gone.
func kill(pid int) {
	if errors.Is(syscall.Kill(pid, syscall.SIGKILL), syscall.ESRCH) {
		return
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, lives := inspect(pid); !lives {
			return
		}
	}
}

// footprint is what a process holds.
type footprint struct {
	descriptors, goroutines, kib int
	kinds                        string // of descriptors, with how many there are
}

// least is the smaller of each: what stays when nothing is under way.
func (f footprint) least(g footprint) footprint {
	least := footprint{min(f.descriptors, g.descriptors), min(f.goroutines, g.goroutines), min(f.kib, g.kib), f.kinds}
	if g.descriptors < f.descriptors {
		least.kinds = g.kinds
	}
	return least
}

// footprints returns what the daemon and the runtime hold in a quiet second.
func (s *stead) footprints() (brain, spine footprint, err error) {
	for i := range 6 {
		time.Sleep(200 * time.Millisecond)
		d, err := s.describe()
		if err != nil {
			return brain, spine, err
		}
		b, r := footprint{goroutines: d.Goroutines, kib: pss([]int{d.PID})}, footprint{goroutines: d.Runtime.Goroutines, kib: pss([]int{d.Runtime.PID})}
		b.descriptors, b.kinds = descriptors(d.PID)
		r.descriptors, r.kinds = descriptors(d.Runtime.PID)
		if i == 0 {
			brain, spine = b, r
		}
		brain, spine = brain.least(b), spine.least(r)
	}
	return brain, spine, nil
}

// descriptors counts those of a process, and says of what kinds they are.
func descriptors(pid int) (int, string) {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	list, _ := os.ReadDir(dir)
	count := map[string]int{}
	for _, fd := range list {
		to, _ := os.Readlink(filepath.Join(dir, fd.Name()))
		if kind, _, ok := strings.Cut(to, ":["); ok { // socket:[123], pipe:[123]
			to = kind
		} else {
			to = filepath.Base(filepath.Dir(to)) + "/" + filepath.Base(to)
		}
		count[to]++
	}
	return len(list), fmt.Sprint(count)
}
