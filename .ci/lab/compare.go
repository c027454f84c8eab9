package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A subject is something that restarts a program when it is saved: stead, or
// a peer with its default settings.
type subject struct {
	name    string
	program *program
	told    *announcements
	port    int
	answer  string // of the process that was there last
	took    sample
	down    int // saves after which nothing answered
	asked   int
	failed  int
	end     func()
}

// answerLimit is how long a save may take before it is said that nothing
// answers.
const answerLimit = 20 * time.Second

// compare measures a save, and what is lost under load, for stead and for
// each peer that is found, all in turns; nothing is printed without a peer.
func compare(o options, v *verdicts, make func(o options, dir, notify string) (*program, error)) error {
	var list []*subject
	defer func() {
		for _, s := range list {
			s.end()
		}
	}()
	for _, r := range reloaders {
		path, err := findPeer(o, r.name)
		if err != nil {
			continue
		}
		s, err := startReloader(o, r, path, make)
		if err != nil {
			fmt.Printf("  %s is not measured: %v\n", r.name, err)
			continue
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		fmt.Println("  no peer is installed: see make peers")
		return nil
	}
	ours, err := startSubject(o, make)
	if err != nil {
		return fmt.Errorf("stead: %w", err)
	}
	list = append([]*subject{ours}, list...)
	for range o.saves {
		for _, s := range list {
			time.Sleep(50 * time.Millisecond)
			if err := s.save(true); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	for _, s := range list {
		if s.down >= mostDown {
			continue
		}
		if err := s.underLoad(o.saves); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	fmt.Printf("  %-16s %10s %10s   failed of the requests at %d/s over %d saves; nothing answered\n", "", "p50 ms", "p99 ms", compareRate, o.saves)
	for _, s := range list {
		fmt.Printf("  %-16s %10.1f %10.1f   %d of %d; %d\n", s.name, float64(s.took.percentile(50))/1e6, float64(s.took.percentile(99))/1e6, s.failed, s.asked, s.down)
		if s != ours {
			v.check("ahead of "+s.name, s.down > 0 || ours.took.percentile(50) < s.took.percentile(50))
		}
	}
	v.check("stead: every request is answered, after every save", ours.failed == 0 && ours.down == 0)
	return nil
}

func startSubject(o options, make func(o options, dir, notify string) (*program, error)) (*subject, error) {
	told, err := listen()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	s, p, err := newSteadOf(o, ports[0], told.path, make)
	if err != nil {
		return nil, err
	}
	x := &subject{name: "stead", program: p, told: told, port: ports[0], end: func() { _, _, _ = s.end(); told.close() }}
	_, err = s.run("up", "-d")
	if err == nil {
		err = x.come(time.Minute)
	}
	if err != nil {
		x.end()
		return nil, err
	}
	return x, nil
}

// startReloader starts a peer in the program's directory, with all that it
// writes besides elsewhere.
func startReloader(o options, r reloader, path string, make func(o options, dir, notify string) (*program, error)) (*subject, error) {
	dir, err := os.MkdirTemp("", "peer-")
	if err != nil {
		return nil, err
	}
	told, err := listen()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	p, err := make(o, dir, told.path)
	if err != nil {
		return nil, err
	}
	args, err := r.command(path, dir, p)
	if err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, out, out
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", ports[0]), "PM2_HOME="+dir+"/pm2", "LAB_PEER="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	s := &subject{name: r.name, program: p, told: told, port: ports[0], end: func() {
		endAll("LAB_PEER=" + dir)
		_ = cmd.Wait()
		told.close()
		_ = os.RemoveAll(dir)
	}}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.come(time.Minute); err != nil {
		text, _ := os.ReadFile(out.Name())
		s.end()
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return s, nil
}

// endAll ends every process that has this in its environment: a peer, what it
// runs, and what it put into the background.
func endAll(variable string) {
	for found := true; found; time.Sleep(10 * time.Millisecond) {
		found = false
		files, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, file := range files {
			text, err := os.ReadFile(file)
			var pid int
			if err != nil || !strings.Contains("\x00"+string(text), "\x00"+variable+"\x00") {
				continue
			}
			if _, err := fmt.Sscanf(file, "/proc/%d/", &pid); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				found = true
			}
		}
	}
}

// come waits for the first process.
func (s *subject) come(limit time.Duration) error {
	if err := s.told.wait(1, limit); err != nil {
		return err
	}
	return s.other(limit)
}

// other asks until another process than the last one answers.
func (s *subject) other(limit time.Duration) error {
	client := http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	end := time.Now().Add(limit)
	for {
		text, err := get(&client, "http://"+local(s.port)+"/")
		if err == nil && text != s.answer {
			s.answer = text
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("no other process answers: %q, %v", text, err)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// mostDown saves without an answer are enough: each takes answerLimit.
const mostDown = 3

// save saves, and waits until the new process answers.
func (s *subject) save(counted bool) error {
	if s.down >= mostDown {
		return nil
	}
	s.told.forget()
	began := time.Now()
	if err := s.program.save(); err != nil {
		return err
	}
	if s.told.wait(1, answerLimit) != nil || s.other(answerLimit) != nil {
		s.down++
		return nil
	}
	if counted {
		s.took = append(s.took, time.Since(began))
	}
	return nil
}

// compareRate is of requests a second; betweenSaves is long enough for a few
// hundred of them over all saves.
const (
	compareRate  = 200
	betweenSaves = 300 * time.Millisecond
)

// underLoad saves while somebody asks all the time.
func (s *subject) underLoad(saves int) error {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	var mu sync.Mutex // guards asked and failed
	client := http.Client{Timeout: callLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	work.Go(func() { // ends with ctx, after what it began
		tick := time.NewTicker(time.Second / compareRate)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			work.Go(func() { // ends with the request
				ok := answers200(&client, "http://"+local(s.port)+"/")
				mu.Lock()
				s.asked++
				if !ok {
					s.failed++
				}
				mu.Unlock()
			})
		}
	})
	var err error
	for i := 0; i < saves && err == nil; i++ {
		err = s.save(false)
		time.Sleep(betweenSaves)
	}
	cancel()
	work.Wait()
	return err
}

func answers200(client *http.Client, url string) bool {
	res, err := client.Get(url)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil && res.StatusCode == http.StatusOK
}
