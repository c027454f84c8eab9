package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inspects says that haltedTree sees something here.
const inspects = true

// How far is looked for whoever is halted, or listens: `dlv exec` has the
// program as its child, below a shell or a task runner it is a grandchild. A
// service of hundreds of processes is not searched to the end.
const (
	treeDepth = 4
	treeMost  = 100
)

// haltedTree says why the process, or one below it, stands still: somebody
// traces it, or it was stopped. The caller makes sure that pid is alive, or a
// zombie. Where nobody else is in its cgroup, nobody is below it: that is one
// file to read, where the kernel tells the children of each thread only.
func haltedTree(pid int, g *cgroup) (why string) {
	if g.alone(pid) {
		return haltedOne(pid)
	}
	eachBelow(pid, func(pid int) bool {
		why = haltedOne(pid)
		return why == ""
	})
	return why
}

// eachBelow calls fn with the process and those below it, until fn fails.
func eachBelow(pid int, fn func(pid int) bool) {
	level, looked := []int{pid}, 0
	for depth := 0; depth < treeDepth && len(level) > 0; depth++ {
		var next []int
		for _, pid := range level {
			if looked++; looked > treeMost || !fn(pid) {
				return
			}
			next = append(next, childrenOf(pid)...)
		}
		level = next
	}
}

// haltedOne reads /proc/PID/status (proc_pid_status(5)).
func haltedOne(pid int) string {
	var page [procPage]byte
	text := readProc(fmt.Sprintf("/proc/%d/status", pid), page[:])
	if tracer, _ := strconv.Atoi(statusField(text, "TracerPid")); tracer != 0 {
		return tracedBy(tracer)
	}
	if strings.HasPrefix(statusField(text, "State"), "T") {
		return "stopped by " + stopSignal(pid)
	}
	return ""
}

// tracedBy names a tracer. What the kernel tells of it is the number of the
// thread that called ptrace(2).
func tracedBy(thread int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	pid, err := strconv.Atoi(statusField(text, "Tgid"))
	if err != nil {
		pid = thread // it is gone already
	}
	return fmt.Sprintf("traced by %s (pid %d)", programName(pid), pid)
}

func statusField(status []byte, name string) string {
	for line := range bytes.Lines(status) {
		if value, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// stopSignal asks what stopped a child of this process, and leaves the answer
// for whoever asks next. Of other processes only their parent can know.
func stopSignal(pid int) string {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	// siginfo_t of SIGCHLD: si_pid, si_uid, si_status (sigaction(2)).
	if status := *(*int32)(unsafe.Add(unsafe.Pointer(&info), sigchldPID+8)); err == nil && status > 0 {
		if name := unix.SignalName(unix.Signal(status)); name != "" {
			return name
		}
	}
	return "a signal"
}

// childrenOf lists the children of pid. A kernel without CONFIG_PROC_CHILDREN
// has them seem to have none.
func childrenOf(pid int) []int {
	dir := fmt.Sprintf("/proc/%d/task/", pid)
	var pids []int
	var page [procPage]byte
	for _, thread := range readNames(dir, page[:]) {
		text := readProc(dir+thread+"/children", page[:])
		for len(text) > 0 && len(pids) < treeMost {
			word, rest, whole := bytes.Cut(text, []byte(" "))
			if child, err := strconv.Atoi(string(word)); whole && err == nil { // each number has a blank behind it
				pids = append(pids, child)
			}
			text = rest
		}
	}
	return pids
}
