package process

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// leftovers are the processes of a runtime that is dead. They are nobody's
// children now, so that any pid may be given away at any time; each is held
// by a pidfd, looked at again, and only then killed.
type leftovers struct {
	prefix uint64         // of the old runtime's marks
	starts map[int]uint64 // recorded processes: pid -> start time
	home   string         // STEAD_HOME of the services, "" for none
	spare  map[int]bool   // this process and those above it
}

const (
	leftoversPause = 5 * time.Millisecond
	leftoversLimit = 5 * time.Second // for all to be gone
)

// endLeftovers ends what the runtime that wrote old left running. Whatever
// cannot be proved to be that runtime's is not touched.
func endLeftovers(old *recorded, environment map[string]string, log *slog.Logger) {
	if old.head.Nonce == "" || old.head.Boot != bootID() {
		return
	}
	if base := old.head.Cgroup; base != "" && filepath.Base(base) == "stead-"+old.head.Nonce {
		_ = os.WriteFile(filepath.Join(base, "cgroup.kill"), []byte("1"), 0)
		defer removeCgroup(base)
	}
	l := &leftovers{
		prefix: markPrefix(old.head.Nonce), starts: map[int]uint64{},
		home: environment["STEAD_HOME"], spare: ancestors(),
	}
	for _, s := range old.processes() {
		if s.Start != 0 {
			l.starts[s.PID] = s.Start
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	killed := map[int]bool{}
	for limit := time.Now().Add(leftoversLimit); ; timer.Reset(leftoversPause) {
		<-timer.C
		left := l.pass(killed, log)
		if left == 0 {
			break
		}
		if time.Now().After(limit) {
			log.Warn("processes of an earlier runtime do not end although they were killed", "count", left)
			break
		}
	}
	if len(killed) > 0 {
		log.Info("ended what an earlier runtime left running", "processes", len(killed))
	}
}

// pass kills every leftover there is, and returns how many.
func (l *leftovers) pass(killed map[int]bool, log *slog.Logger) int {
	left := 0
	err := eachProcess(func(pid int) {
		if l.spare[pid] || !l.ours(pid) {
			return
		}
		err := l.kill(pid)
		switch {
		case err == nil:
			killed[pid] = true
			left++
		case errors.Is(err, unix.EPERM):
			log.Warn("a process of an earlier runtime may not be ended", "pid", pid)
			l.spare[pid] = true
		}
	})
	if err != nil {
		log.Error("look for what an earlier runtime left", "err", err)
		return 0
	}
	return left
}

// ours reports whether pid certainly is a live process of that runtime.
func (l *leftovers) ours(pid int) bool {
	s, ok := readStat(pid)
	if !ok || s.state == 'Z' || s.state == 'X' {
		return false
	}
	if l.starts[pid] == s.start && s.start != 0 {
		return true
	}
	if readMark(pid)>>markShift == l.prefix>>markShift {
		return true
	}
	return l.home != "" && environmentOf(pid, "STEAD_ID") != "" && environmentOf(pid, "STEAD_HOME") == l.home
}

func (l *leftovers) kill(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !l.ours(pid) {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
}

// ancestors returns this process and all above it.
func ancestors() map[int]bool {
	all := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !all[pid]; {
		all[pid] = true
		s, _ := readStat(pid)
		pid = s.parent
	}
	return all
}
