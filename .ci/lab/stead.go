package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	env []string // what calls have besides
}

// newStead writes a manifest and returns a stead that nothing runs in yet.
func newStead(o options, manifest string) (*stead, error) {
	dir, err := os.MkdirTemp("", "stead-bench-")
	if err != nil {
		return nil, err
	}
	s := &stead{o: o, dir: dir}
	begin(s)
	if o.user != 0 {
		if err := os.Chown(dir, o.user, o.user); err != nil {
			return nil, err
		}
	}
	return s, os.WriteFile(filepath.Join(dir, "stead.yaml"), []byte(manifest), 0o644)
}

// home is the STEAD_HOME.
func (s *stead) home() string { return s.dir + "/home" }

// command is a call of one of the binaries in the project.
func (s *stead) command(ctx context.Context, binary string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.o.bin, binary), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "STEAD_HOME="+s.home(), "STEAD_ORPHAN_TTL=60s", "HOME="+s.dir)
	cmd.Env = append(cmd.Env, s.env...)
	cmd.SysProcAttr = credential(s.o)
	cmd.WaitDelay = time.Second // what the CLI starts may hold its output
	return cmd
}

// run runs the CLI in the project.
func (s *stead) run(args ...string) ([]byte, error) { return s.call(runLimit, args...) }

// errHangs is a call that did not end.
var errHangs = errors.New("hangs")

// runLimit is longer than a thousand services take to start or stop.
const runLimit = 5 * time.Minute

// call runs the CLI and fails when it takes longer than the limit.
func (s *stead) call(limit time.Duration, args ...string) ([]byte, error) {
	if !ending.TryRLock() {
		return nil, errors.New("the lab ends")
	}
	ending.RUnlock()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := s.command(ctx, "stead", args...).CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return out, fmt.Errorf("stead %s: %w: no end within %v\n%s", strings.Join(args, " "), errHangs, limit, out)
	case err != nil:
		return out, fmt.Errorf("stead %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return out, nil
}

// ask runs the CLI and decodes what it says.
func (s *stead) ask(answer any, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := s.command(ctx, "stead", args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("stead %s: %w\n%s", strings.Join(args, " "), err, said.Bytes())
	}
	return json.Unmarshal(out, answer)
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

// charged returns the processes whose memory and CPU are stead's own (brain,
// spine and doors), and says which they are.
func (s *stead) charged() (pids []int, names string) {
	var each []string
	for _, name := range []string{"steadd", "stead-runtime-process", "stead-gateway"} {
		found := s.named(name)
		for _, p := range found {
			pids = append(pids, p.pid)
		}
		each = append(each, fmt.Sprintf("%d %s", len(found), name))
	}
	return pids, strings.Join(each, ", ")
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
