package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// floor is the least a supervisor can do: fork, exec, copy the output into a
// file, wait, and (when told) start again at once.
type floor struct {
	mu    sync.Mutex
	procs map[int]*exec.Cmd
	ended bool
	wg    sync.WaitGroup
	log   *os.File
}

func newFloor() (*floor, error) {
	log, err := os.CreateTemp("", "floor-log-")
	return &floor{procs: map[int]*exec.Cmd{}, log: log}, err
}

// start runs a service that announces itself.
func (f *floor) start(o options, port int, notify string) (int, error) {
	cmd := exec.Command(filepath.Join(o.bin, "service"), "-listen", "-notify", notify)
	cmd.Env = append(os.Environ(), "PORT="+strconv.Itoa(port))
	cmd.SysProcAttr = credential(o)
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	f.mu.Lock()
	f.procs[cmd.Process.Pid] = cmd
	f.mu.Unlock()
	f.wg.Add(1)
	go func() { // ends with the process
		defer f.wg.Done()
		_, _ = io.Copy(f.log, out)
		_ = cmd.Wait()
		f.mu.Lock()
		delete(f.procs, cmd.Process.Pid)
		again := !f.ended
		f.mu.Unlock()
		if again {
			_, _ = f.start(o, port, notify)
		}
	}()
	return cmd.Process.Pid, nil
}

// pid returns the only process.
func (f *floor) pid() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for pid := range f.procs {
		return pid
	}
	return 0
}

func (f *floor) end() {
	f.mu.Lock()
	f.ended = true
	for _, cmd := range f.procs {
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	f.mu.Unlock()
	f.wg.Wait()
	_ = f.log.Close()
	_ = os.Remove(f.log.Name())
}
