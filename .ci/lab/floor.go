package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
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
	if err := f.run(cmd); err != nil {
		return 0, err
	}
	go func() { // ends with the process
		defer f.wg.Done()
		_, _ = io.Copy(f.log, out)
		_ = cmd.Wait()
		f.mu.Lock()
		delete(f.procs, cmd.Process.Pid)
		again := !f.ended
		f.mu.Unlock()
		if !again {
			return
		}
		if _, err := f.start(o, port, notify); err != nil && !errors.Is(err, errFloorEnds) {
			fmt.Fprintln(os.Stderr, "lab: the floor did not start a service again:", err)
		}
	}()
	return cmd.Process.Pid, nil
}

var errFloorEnds = errors.New("the floor ends")

// run starts a process unless the floor has been told to end, in one step: one
// that is started after that would be waited for for ever.
func (f *floor) run(cmd *exec.Cmd) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || !ending.TryRLock() {
		return errFloorEnds
	}
	defer ending.RUnlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	f.procs[cmd.Process.Pid] = cmd
	f.wg.Add(1)
	return nil
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

// floorGrace is how long a service of the floor may take to end.
const floorGrace = 10 * time.Second

// end ends all processes, and waits for them.
func (f *floor) end() {
	f.signal(syscall.SIGTERM)
	late := time.AfterFunc(floorGrace, func() { f.signal(syscall.SIGKILL) })
	f.wg.Wait()
	late.Stop()
	_ = f.log.Close()
	_ = os.Remove(f.log.Name())
}

func (f *floor) signal(s syscall.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	for _, cmd := range f.procs {
		_ = cmd.Process.Signal(s)
	}
}
