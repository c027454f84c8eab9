package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/stead-dev/stead/runtime"
)

// limiter enables the controllers of our cgroup that limits need, the first
// time that they do: without limits nothing is enabled, and nothing is paid.
type limiter struct {
	place cgroupPlace
	own   int // pid of this process

	mu      sync.Mutex
	enabled []string // below place.base
}

// cgroupPlace is where things are. All is read and written as plain files.
type cgroupPlace struct {
	known  string // "/proc/cgroups": controllers, and the hierarchy of each
	mount  string // the root of the hierarchy, as far as it can be seen
	parent string // the cgroup that this process is in
	base   string // ours below it
}

const (
	controllersName = "cgroup.controllers"
	subtreeName     = "cgroup.subtree_control"
	procsName       = "cgroup.procs"
)

// cpuPeriod is the kernel's default for cpu.max, in µs.
const cpuPeriod = 100_000

// needs are the controllers for limits, each with the word for its limit.
func needs(limits runtime.Limits) (controllers, words []string) {
	for _, one := range []struct {
		wanted           bool
		controller, word string
	}{{limits.Memory > 0, "memory", "memory"}, {limits.MilliCPU > 0, "cpu", "cpu"}, {limits.PIDs > 0, "pids", "process"}} {
		if one.wanted {
			controllers, words = append(controllers, one.controller), append(words, one.word)
		}
	}
	return controllers, words
}

// limitable returns why limits cannot be kept, or makes sure that they can.
func (c *cgroups) limitable(limits runtime.Limits) error {
	controllers, words := needs(limits)
	if len(controllers) == 0 {
		return nil
	}
	why := ""
	switch {
	case c == nil:
		why = missing("/proc/cgroups", "", controllers[0], "of which stead has no cgroup of its own here")
	case c.off.Load():
		why = "and this kernel starts no process in stead's cgroups"
	default:
		at, err := c.limiter.enable(controllers)
		if err == nil {
			return nil
		}
		words[0], controllers[0], why = words[at], controllers[at], err.Error()
	}
	return runtime.WithHint(fmt.Errorf("%s limits need the cgroup v2 %s controller, %s: %w", words[0], controllers[0], why, runtime.Unsupported),
		"remove limits, or run on a Linux with cgroup v2 alone, where systemd delegates these controllers to stead")
}

// enable makes the controllers available in the cgroups below base, and
// returns the index of one for which that does not work.
func (l *limiter) enable(controllers []string) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, one := range controllers {
		if slices.Contains(l.enabled, one) {
			continue
		}
		if err := l.place.enable(one, l.own); err != nil {
			return i, err
		}
		l.enabled = append(l.enabled, one)
	}
	return 0, nil
}

// enable hands one controller down from parent to base, and from there to the
// cgroups of trees. A cgroup with processes cannot do that (cgroups(7), "no
// internal processes"), so this process moves out of parent first, and only
// when it is there alone: others are not ours to move.
func (p cgroupPlace) enable(controller string, own int) error {
	if !slices.Contains(words(p.base, controllersName), controller) {
		if !slices.Contains(words(p.parent, controllersName), controller) {
			return errors.New(missing(p.known, p.mount, controller, "which is not delegated to stead's cgroup "+p.parent))
		}
		if err := p.vacate(own); err != nil {
			return err
		}
		if err := order(p.parent, subtreeName, "+"+controller); err != nil {
			return fmt.Errorf("which cannot be enabled in %s: %w", p.parent, reason(err))
		}
	}
	if err := order(p.base, subtreeName, "+"+controller); err != nil {
		return fmt.Errorf("which cannot be enabled in %s: %w", p.base, reason(err))
	}
	return nil
}

// vacate moves this process from parent into a cgroup beside base.
func (p cgroupPlace) vacate(own int) error {
	if p.parent == p.mount && !exists(filepath.Join(p.parent, "cgroup.events")) {
		return nil // the root of all: it may have processes
	}
	inside := words(p.parent, procsName)
	if len(inside) == 0 {
		return nil // it was vacated before
	}
	for _, pid := range inside {
		if pid != strconv.Itoa(own) {
			return fmt.Errorf("which cannot be enabled while stead shares the cgroup %s with process %s", p.parent, pid)
		}
	}
	leaf := p.base + "-runtime"
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("for which stead cannot make the cgroup %s: %w", leaf, reason(err))
	}
	if err := order(leaf, procsName, strconv.Itoa(own)); err != nil {
		return fmt.Errorf("for which stead cannot move into the cgroup %s: %w", leaf, reason(err))
	}
	return nil
}

// missing says why a controller that is not there is not there.
func missing(known, mount, controller, otherwise string) string {
	if mount != "" && slices.Contains(words(mount, controllersName), controller) {
		return otherwise
	}
	text, err := os.ReadFile(known)
	if err != nil {
		return otherwise
	}
	// A line is name, hierarchy, number of cgroups, enabled (cgroups(7)).
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 4 || fields[0] != controller:
		case fields[3] == "0":
			return "which is switched off in this machine's kernel (cgroup_disable=)"
		case fields[1] != "0":
			return "which this machine has bound to v1"
		default:
			return otherwise
		}
	}
	return "which this machine's kernel does not have"
}

// limit writes limits into the files of g, which has no process yet.
func (g *cgroup) limit(limits runtime.Limits) error {
	for _, one := range limitFiles(limits) {
		err := order(g.dir, one.name, one.value)
		if one.optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("limit it by %s %s: %w", one.name, one.value, reason(err))
		}
	}
	return nil
}

type limitFile struct {
	name, value string
	optional    bool // older kernels, or those without swap, have no such file
}

func limitFiles(limits runtime.Limits) []limitFile {
	var files []limitFile
	if limits.Memory > 0 {
		files = append(files,
			limitFile{name: "memory.max", value: strconv.FormatInt(limits.Memory, 10)},
			limitFile{"memory.swap.max", "0", true},  // else the limit only decides what is swapped out
			limitFile{"memory.oom.group", "1", true}) // a service that lost one of its processes is no service
	}
	if limits.MilliCPU > 0 {
		quota := max(limits.MilliCPU*cpuPeriod/1000, 1000) // the kernel takes no less than 1 ms
		files = append(files, limitFile{name: "cpu.max", value: fmt.Sprint(quota, " ", cpuPeriod)})
	}
	if limits.PIDs > 0 {
		files = append(files, limitFile{name: "pids.max", value: strconv.Itoa(limits.PIDs)})
	}
	return files
}

// outOfMemory reports whether the kernel ended a process in g for want of
// memory. Without the memory controller nobody knows, and it says no.
func (g *cgroup) outOfMemory() bool {
	if g == nil {
		return false
	}
	events := words(g.dir, "memory.events")
	at := slices.Index(events, "oom_kill")
	return at >= 0 && at+1 < len(events) && events[at+1] != "0"
}

// order writes to a file of a cgroup. It makes none.
func order(dir, name, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// words are those of a file of a cgroup, none when it cannot be read.
func words(dir, name string) []string {
	text, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.Fields(string(text))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
