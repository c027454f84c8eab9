package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// firstPort is where the ports of measured services begin.
const firstPort = 21000

func manifest(o options, n, port int, notify string) string {
	var b strings.Builder
	b.WriteString("name: bench\nservices:\n")
	mode := ""
	if o.direct {
		mode = ", mode: self"
	}
	for i := range n {
		fmt.Fprintf(&b, "  s%04d:\n    command: [%q, -listen, -notify, %q]\n    ports: {http: {port: %d, protocol: http%s}}\n    restart: {policy: always, limit: 100000}\n",
			i, filepath.Join(o.bin, "service"), notify, port+i, mode)
	}
	return b.String()
}

// status: `stead status` of 50 services against `stead version`, and that
// against an empty Go program.
func status(o options, v *verdicts) error {
	if err := claim(firstPort, 50); err != nil {
		return err
	}
	a, err := listen()
	if err != nil {
		return err
	}
	defer a.close()
	s, err := newStead(o, manifest(o, 50, firstPort, a.path))
	if err != nil {
		return err
	}
	defer s.end()
	if _, err := s.run("up", "-d"); err != nil {
		return err
	}
	if err := a.wait(50, time.Minute); err != nil {
		return err
	}
	var empty, version, call sample
	for range o.samples {
		began := time.Now()
		if err := exec.Command(filepath.Join(o.bin, "empty")).Run(); err != nil {
			return err
		}
		empty = append(empty, time.Since(began))
		began = time.Now()
		if _, err := s.run("version"); err != nil {
			return err
		}
		version = append(version, time.Since(began))
		began = time.Now()
		if _, err := s.run("status"); err != nil {
			return err
		}
		call = append(call, time.Since(began))
	}
	fmt.Printf("status of 50 services\n  empty Go program  %v\n  stead version     %v\n  stead status      %v\n", empty, version, call)
	v.check("stead version <= 5 x an empty Go program", version.percentile(50) <= 5*empty.percentile(50))
	v.check("stead status <= stead version + 5 ms", call.percentile(50) <= version.percentile(50)+5*time.Millisecond)
	return nil
}

// crash: kill -9 of a service until its successor listens.
func crash(o options, v *verdicts) error {
	if err := claim(firstPort, 2); err != nil {
		return err
	}
	a, err := listen()
	if err != nil {
		return err
	}
	defer a.close()
	b, err := listen()
	if err != nil {
		return err
	}
	defer b.close()
	f, err := newFloor()
	if err != nil {
		return err
	}
	defer f.end()
	if _, err := f.start(o, firstPort+1, b.path); err != nil {
		return err
	}
	if err := b.wait(1, time.Minute); err != nil {
		return err
	}
	s, err := newStead(o, manifest(o, 1, firstPort, a.path))
	if err != nil {
		return err
	}
	defer s.end()
	if _, err := s.run("up", "-d"); err != nil {
		return err
	}
	if err := a.wait(1, time.Minute); err != nil {
		return err
	}
	peers, err := newCrashers(o)
	defer func() {
		for _, p := range peers {
			p.end()
		}
	}()
	if err != nil {
		return err
	}
	var bare, ours sample
	for range o.samples {
		// The first restart after one second of ready is immediate; a crash
		// loop is what back-off is for.
		time.Sleep(1100 * time.Millisecond)
		pid, err := s.pid()
		if err != nil {
			return err
		}
		began := time.Now()
		_ = syscall.Kill(pid, syscall.SIGKILL)
		if err := a.wait(1, time.Minute); err != nil {
			return err
		}
		ours = append(ours, time.Since(began))
		began = time.Now()
		_ = syscall.Kill(f.pid(), syscall.SIGKILL)
		if err := b.wait(1, time.Minute); err != nil {
			return err
		}
		bare = append(bare, time.Since(began))
		for _, p := range peers {
			p.crash()
		}
	}
	fmt.Printf("crash -> new process answers\n  floor  %v\n  stead  %v\n", bare, ours)
	for _, p := range peers {
		fmt.Printf("  %s  %v\n", p.name, p.took)
	}
	v.check("<= floor + 5 ms", ours.percentile(50) <= bare.percentile(50)+5*time.Millisecond)
	return nil
}

// pid returns the pid of the only service.
func (s *stead) pid() (int, error) {
	out, err := s.run("status", "--output", "json")
	if err != nil {
		return 0, err
	}
	var status struct {
		Services []struct {
			Instances []struct {
				PID int `json:"pid"`
			} `json:"instances"`
		} `json:"services"`
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return 0, err
	}
	for _, service := range status.Services {
		for _, i := range service.Instances {
			if i.PID > 0 { // kill(0) would be this very group
				return i.PID, nil
			}
		}
	}
	return 0, fmt.Errorf("no instance in %s", out)
}

// idle: N idle services: until all listen, memory, CPU, and the stop.
func idle(o options, v *verdicts) error {
	for _, n := range o.sizes {
		var bare, ours, ups, stops sample
		var memory, left int
		var shares []string
		var busy time.Duration
		for range o.rounds {
			took, err := idleFloor(o, n)
			if err != nil {
				return err
			}
			bare = append(bare, took)
			r, err := idleStead(o, n)
			if err != nil {
				return err
			}
			ours, ups, stops = append(ours, r.start), append(ups, r.up), append(stops, r.stop)
			if r.pss > memory {
				memory, shares = r.pss, r.shares
			}
			busy, left = max(busy, r.cpu), left+r.left
		}
		watched := time.Duration(o.idle) * time.Second
		share := 100 * float64(busy) / float64(watched)
		fmt.Printf("%d idle services, %d rounds, uid %d\n  until all listen: floor %s  stead %s  ratio %.2f   `up -d` ends after %s\n  memory (PSS of brain, spine and gateway) %.1f MiB (%s)   CPU over %v %.2f %% of a core   stop %s   left behind %d\n",
			n, o.rounds, max(o.user, os.Getuid()), ms(bare.percentile(50)), ms(ours.percentile(50)), float64(ours.percentile(50))/float64(bare.percentile(50)), ms(ups.percentile(50)),
			float64(memory)/1024, strings.Join(shares, " + "), watched, share, ms(stops.percentile(50)), left)
		v.check("left behind: 0", left == 0)
		v.check("PSS <= 60 MB + 30 KB a service", memory*1024 <= 60e6+n*30e3)
		if n == 1000 {
			v.check("started within 2 x the floor", ours.percentile(50) <= 2*bare.percentile(50))
			v.check("CPU < 0.5 % of a core", share < 0.5)
		}
	}
	return nil
}

func idleFloor(o options, n int) (time.Duration, error) {
	if err := claim(firstPort, n); err != nil {
		return 0, err
	}
	a, err := listen()
	if err != nil {
		return 0, err
	}
	defer a.close()
	f, err := newFloor()
	if err != nil {
		return 0, err
	}
	defer f.end()
	began := time.Now()
	received := make(chan error, 1)
	go func() { received <- a.wait(n, time.Minute) }() // ends when all announced, or none does
	for i := range n {
		if _, err := f.start(o, firstPort+i, a.path); err != nil {
			return 0, err
		}
	}
	err = <-received
	return time.Since(began), err
}

type idleResult struct {
	start, up, stop, cpu time.Duration // up: until `stead up -d` has ended
	pss, left            int
	shares               []string // of pss: of each process
}

func idleStead(o options, n int) (r idleResult, err error) {
	a, err := listen()
	if err != nil {
		return r, err
	}
	defer a.close()
	s, err := newStead(o, manifest(o, n, firstPort, a.path))
	if err != nil {
		return r, err
	}
	began := time.Now()
	received := make(chan error, 1)
	go func() { // ends when all announced, or none does
		err := a.wait(n, time.Minute)
		r.start = time.Since(began)
		received <- err
	}()
	_, err = s.run("up", "-d")
	r.up = time.Since(began)
	if err == nil {
		err = <-received
	}
	if err != nil {
		_, _, _ = s.end() // the first error says more
		return r, err
	}
	pids, _ := s.charged()
	time.Sleep(2 * time.Second) // what follows from the start is over by then
	before := cpu(pids)
	time.Sleep(time.Duration(o.idle) * time.Second)
	r.cpu = cpu(pids) - before
	r.pss = pss(pids)
	for _, pid := range pids {
		r.shares = append(r.shares, fmt.Sprintf("%.1f", float64(pss([]int{pid}))/1024))
	}
	r.stop, r.left, err = s.end()
	return r, err
}
