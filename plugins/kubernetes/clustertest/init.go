//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	goruntime "runtime"
	"syscall"
	"time"
)

// again is the pause before a component that ended is started anew: tests kill
// them, and a cluster that is shared lives for hours.
const again = time.Second

// parent has the components for children, and whatever they leave behind.
type parent struct {
	plan
	running map[int]component
	again   chan component
}

// initCommand is the first process of a node, or the parent of an API server.
// It ends, and with it every component, when the keeper does: then its standard
// input is closed.
func initCommand(args []string) error {
	if len(args) != 1 {
		return errors.New("init is for clustertest up")
	}
	// Components are killed when the thread ends that has forked them.
	goruntime.LockOSThread()
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	p := &parent{running: map[int]component{}}
	if err := json.Unmarshal(text, &p.plan); err != nil {
		return err
	}
	if p.Node != nil {
		if err := p.isolate(); err != nil {
			return fmt.Errorf("set up the node: %w", err)
		}
	}
	stages := make(chan struct{})
	go func() { // ends with the keeper
		defer close(stages)
		for s := bufio.NewScanner(os.Stdin); s.Scan(); {
			stages <- struct{}{}
		}
	}()
	return p.run(stages)
}

func (p *parent) run(stages <-chan struct{}) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	all := 0
	for _, s := range p.Stages {
		all += len(s)
	}
	p.again = make(chan component, all)
	for n := 0; ; {
		select {
		case _, ok := <-stages:
			if !ok {
				return nil
			}
			if n == 0 && p.Node != nil {
				if err := p.network(); err != nil {
					return fmt.Errorf("set up the node's network: %w", err)
				}
			}
			if n < len(p.Stages) {
				for _, c := range p.Stages[n] {
					if err := p.start(c); err != nil {
						return err
					}
				}
			}
			n++
		case <-ended:
			p.reap()
		case c := <-p.again:
			if err := p.start(c); err != nil {
				return err
			}
		}
	}
}

func (p *parent) start(c component) error {
	path, err := exec.LookPath(c.Path)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(p.Dir, "log", c.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	process, err := os.StartProcess(path, append([]string{c.Name}, c.Args...), &os.ProcAttr{
		Dir: p.Dir, Env: append(os.Environ(), "HOME="+p.Dir), Files: []*os.File{null, out, out},
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", c.Name, err)
	}
	p.running[process.Pid] = c
	return process.Release() // reap waits, for all
}

// reap takes the end of every child, also of what components left behind.
func (p *parent) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
		c, ok := p.running[pid]
		if !ok {
			continue
		}
		delete(p.running, pid)
		fmt.Printf("%s %s ended: exit code %d, signal %d\n", time.Now().Format(time.RFC3339), c.Name, status.ExitStatus(), status.Signal())
		time.AfterFunc(again, func() { p.again <- c })
	}
}
