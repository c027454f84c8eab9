package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes every orphan below this process its child.
func adoptOrphans() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// closeOnExec marks every descriptor from first on. Kernels before 5.11
// cannot; Go's own descriptors are marked anyway.
func closeOnExec(first uint) { _ = unix.CloseRange(first, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) }

// reapNext reaps one child that has ended, 0 for none. It calls before while
// the child is a zombie: its pid, group and limits are still its own.
func reapNext(before func(pid int)) (int, syscall.WaitStatus) {
	pid := peekZombie()
	if pid <= 0 {
		return 0, 0
	}
	before(pid)
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); err != syscall.EINTR {
			return pid, status
		}
	}
}

// sigchldPID is where siginfo_t has si_pid: behind three ints, aligned for the
// union's pointers.
const sigchldPID = (3*4 + word - 1) &^ (word - 1)

const word = unsafe.Sizeof(uintptr(0))

// peekZombie returns a child that has ended without reaping it.
func peekZombie() int {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil { // ECHILD: there are no children at all
			return 0
		}
		return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), sigchldPID)))
	}
}

// offspring lists the children of this process. The caller holds
// children.mu: only reaping takes an entry from the kernel's list, so that
// while nothing is reaped the list that is read in parts is whole.
func offspring() ([]int, error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, task := range tasks {
		text, err := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		if os.IsNotExist(err) {
			if _, err := os.Stat("/proc/thread-self/children"); err != nil {
				return offspringByParent() // a kernel without CONFIG_PROC_CHILDREN
			}
			continue // the thread has ended; its children went to another
		}
		if err != nil {
			return nil, err
		}
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

func offspringByParent() ([]int, error) {
	self := os.Getpid()
	var pids []int
	err := eachProcess(func(pid int) {
		if s, ok := readStat(pid); ok && s.parent == self {
			pids = append(pids, pid)
		}
	})
	return pids, err
}

// eachProcess calls fn with every pid there is.
func eachProcess(fn func(pid int)) error {
	dir, err := os.Open("/proc")
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			fn(pid)
		}
	}
	return err
}

// stat is what stead reads of /proc/PID/stat (proc_pid_stat(5)).
type stat struct {
	state   byte
	parent  int
	session int
	start   uint64 // clock ticks after boot
}

func readStat(pid int) (stat, bool) {
	var page [procPage]byte
	text := readProc("/proc/"+strconv.Itoa(pid)+"/stat", page[:])
	// The name, in parentheses, may hold anything; the last ) ends it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return stat{}, false
	}
	s := stat{state: fields[0][0]}
	s.parent, _ = strconv.Atoi(string(fields[1]))
	s.session, _ = strconv.Atoi(string(fields[3]))
	s.start, _ = strconv.ParseUint(string(fields[19]), 10, 64)
	return s, true
}

func sessionOf(pid int) int {
	s, _ := readStat(pid)
	return s.session
}

// startOf is the identity of a process beside its pid; 0 if there is none.
func startOf(pid int) uint64 {
	s, _ := readStat(pid)
	return s.start
}

// environmentOf returns a variable of the environment pid was exec'd with.
func environmentOf(pid int, key string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return ""
	}
	for entry := range bytes.SplitSeq(text, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(key+"=")); ok {
			return string(value)
		}
	}
	return ""
}

func bootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}
