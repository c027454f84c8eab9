package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience bounds what chaos waits for: a call, the settling, the end.
const patience = 60 * time.Second

// chaos attacks a stead of its own in one of the modes, and looks whether
// every promise was kept.
func chaos(o options) error {
	fmt.Printf("chaos: %s for %v, seed %d\n", o.mode, o.duration, o.seed)
	modes := map[string]func(options) error{
		"storm": storm, "clock": clockStorm, "spine": spineless, "disk": fullDisk, "readonly": readOnly,
	}
	run, ok := modes[o.mode]
	if !ok {
		return fmt.Errorf("there is no mode %q: storm, clock, spine, disk, readonly", o.mode)
	}
	began := time.Now()
	err := run(o)
	fmt.Printf("took %s\n", time.Since(began).Round(time.Second))
	return err
}

// attempt runs fn with a stead, and ends that whatever happens. After a
// failure its files stay for a look.
func attempt(s *stead, fn func() error) error {
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(told)
	done := make(chan error, 1)
	go func() { done <- fn() }() // ends by itself, or with the process
	var err error
	select {
	case err = <-done:
	case <-told:
		err = errors.New("told to end")
	case <-time.After(s.o.duration + 5*patience):
		err = errors.New("chaos itself did not come to an end")
	}
	if err == nil {
		return os.RemoveAll(s.dir)
	}
	if _, e := s.call(patience, "daemon", "stop", "--services"); e != nil {
		fmt.Println("and could not be stopped:", e)
	}
	for _, p := range s.processes() {
		kill(p.pid)
	}
	fmt.Printf("kept for a look: %s\n", s.dir)
	return err
}

// newTarget makes a stead with a manifest of services, from a function of its
// directory.
func newTarget(o options, services func(dir string) string) (*stead, error) {
	s, err := newStead(o, "")
	if err != nil {
		return nil, err
	}
	text := "name: chaos\nservices:\n" + services(s.dir)
	return s, os.WriteFile(filepath.Join(s.dir, "stead.yaml"), []byte(text), 0o644)
}

// describe is `daemon status`.
func (s *stead) describe() (daemonStatus, error) {
	var d daemonStatus
	err := s.ask(&d, "daemon", "status", "--output", "json")
	if err == nil && d.Runtime.PID == 0 {
		err = errors.New("the daemon has no runtime")
	}
	return d, err
}

type daemonStatus struct {
	PID        int `json:"pid"`
	Goroutines int `json:"goroutines"`
	Runtime    struct {
		PID        int `json:"pid"`
		Goroutines int `json:"goroutines"`
	} `json:"runtime"`
}

// serviceStatus is what `stead status` says of a service.
type serviceStatus struct {
	Name       string   `json:"name"`
	Want       string   `json:"want"`
	Phase      string   `json:"phase"`
	Cause      string   `json:"cause"`
	Generation int      `json:"generation"`
	URLs       []string `json:"urls"`
	Instances  []struct {
		PID  int    `json:"pid"`
		Exit string `json:"exit"`
	} `json:"instances"`
}

func (s *stead) status() ([]serviceStatus, error) {
	var status struct {
		Services []serviceStatus `json:"services"`
		Problem  string          `json:"problem"`
	}
	err := s.ask(&status, "status", "--output", "json")
	if err == nil && status.Problem != "" {
		err = errors.New("status: " + status.Problem)
	}
	return status.Services, err
}

// running is what there is to be seen: services by name with their processes.
func (s *stead) running() map[string][]process {
	all := s.processes()
	spines := map[int]bool{}
	for _, p := range all {
		spines[p.pid] = p.name == "stead-runtime-process"
	}
	by := map[string][]process{}
	for _, p := range all {
		if p.service() != "" && spines[p.parent] {
			by[p.service()] = append(by[p.service()], p)
		}
	}
	return by
}

// settle waits until every service is as the model says.
func (s *stead) settle(m model) error {
	var minded []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		list, err := s.status()
		minded = nil
		if err != nil {
			minded = append(minded, err.Error())
		}
		alive := s.running()
		for _, one := range list {
			if text := m.mind(one, alive); text != "" {
				minded = append(minded, text)
			}
		}
		if len(minded) == 0 && len(list) == len(m) {
			fmt.Printf("%d services are as was asked for\n", len(m))
			return nil
		}
	}
	return fmt.Errorf("the state is not what was asked for:\n  %s", strings.Join(minded, "\n  "))
}

// orphans fails when something runs that stead does not know.
func (s *stead) orphans() error {
	strangers := map[int]process{}
	for round := range 2 { // what is there once may be on its way out
		time.Sleep(time.Duration(round) * 500 * time.Millisecond)
		list, err := s.status()
		if err != nil {
			return err
		}
		now := map[int]process{}
		for _, p := range s.unknown(list) {
			if _, before := strangers[p.pid]; before || round == 0 {
				now[p.pid] = p
			}
		}
		strangers = now
	}
	for _, p := range strangers {
		return fmt.Errorf("%d processes that stead does not know, one is pid %d, child of %d: %s (STEAD_ID %q)",
			len(strangers), p.pid, p.parent, p.command, p.id)
	}
	brains, spines, doors := len(s.named("steadd")), len(s.named("stead-runtime-process")), len(s.named("stead-gateway"))
	if brains != 1 || spines != 1 || doors > 1 {
		return fmt.Errorf("%d daemons, %d runtimes and %d gateways run", brains, spines, doors)
	}
	fmt.Println("no process runs that stead does not know")
	return nil
}

// unknown returns processes that neither are stead's own nor descend from an
// instance it tells of.
func (s *stead) unknown(list []serviceStatus) []process {
	all := s.processes()
	parents, known := map[int]int{}, map[int]bool{}
	for _, p := range all {
		parents[p.pid] = p.parent
	}
	for _, one := range list {
		for _, i := range one.Instances {
			known[i.PID] = true
		}
	}
	var strangers []process
	for _, p := range all {
		at := p.pid
		for at > 1 && !known[at] {
			at = parents[at]
		}
		if at <= 1 && p.name != "steadd" && p.name != "stead-runtime-process" && p.name != "stead-gateway" {
			strangers = append(strangers, p)
		}
	}
	return strangers
}

// finish stops everything, and fails when something is left.
func (s *stead) finish() error {
	if _, err := s.call(patience, "daemon", "stop", "--services"); err != nil {
		return err
	}
	left := s.processes()
	if len(left) > 0 {
		return fmt.Errorf("%d processes are left after the stop, one is pid %d: %s", len(left), left[0].pid, left[0].command)
	}
	fmt.Println("nothing is left after the stop")
	return nil
}
