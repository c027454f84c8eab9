package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stead is one separate stead with a project, below a directory of its own.
type stead struct {
	o   options
	dir string
}

// newStead writes a manifest and returns a stead that nothing runs in yet.
func newStead(o options, manifest string) (*stead, error) {
	dir, err := os.MkdirTemp("", "stead-bench-")
	if err != nil {
		return nil, err
	}
	s := &stead{o, dir}
	if o.user != 0 {
		if err := os.Chown(dir, o.user, o.user); err != nil {
			return nil, err
		}
	}
	return s, os.WriteFile(filepath.Join(dir, "stead.yaml"), []byte(manifest), 0o644)
}

// command is the CLI in the project.
func (s *stead) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.o.bin, "stead"), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "STEAD_HOME="+s.dir+"/home", "STEAD_ORPHAN_TTL=60s", "HOME="+s.dir)
	cmd.SysProcAttr = credential(s.o)
	return cmd
}

// run runs the CLI in the project.
func (s *stead) run(args ...string) ([]byte, error) {
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("stead %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return out, nil
}

func credential(o options) *syscall.SysProcAttr {
	if o.user == 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(o.user), Gid: uint32(o.user)}}
}

// end stops everything, returns how long that took, and what is left.
func (s *stead) end() (time.Duration, int, error) {
	began := time.Now()
	_, err := s.run("daemon", "stop", "--services")
	took := time.Since(began)
	left := 0
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		text, e := os.ReadFile(file)
		if e == nil && strings.Contains(string(text), s.dir) {
			left++
		}
	}
	_ = os.RemoveAll(s.dir)
	return took, left, err
}

// pids returns the daemon's and the runtime's.
func (s *stead) pids() ([]int, error) {
	out, err := s.run("daemon", "status", "--output", "json")
	if err != nil {
		return nil, err
	}
	var status struct {
		PID     int `json:"pid"`
		Runtime struct {
			PID int `json:"pid"`
		} `json:"runtime"`
	}
	err = json.Unmarshal(out, &status)
	return []int{status.PID, status.Runtime.PID}, err
}

// pss returns the proportional set size of processes, in KiB.
func pss(pids []int) int {
	total := 0
	for _, pid := range pids {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
		for _, line := range strings.Split(string(text), "\n") {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
				n, _ := strconv.Atoi(fields[1])
				total += n
			}
		}
	}
	return total
}

// cpu returns the CPU time that processes have used; ticks are 10 ms on Linux.
func cpu(pids []int) time.Duration {
	ticks := 0
	for _, pid := range pids {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		_, rest, ok := strings.Cut(string(text), ") ")
		if !ok {
			continue
		}
		fields := strings.Fields(rest) // the first is field 3 of proc(5)
		for _, i := range []int{11, 12} {
			n, _ := strconv.Atoi(fields[i])
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
