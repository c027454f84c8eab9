package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The services of chaos: steady ones are never touched and must keep their
// pids; victims are killed and told to exit; tickers write numbered lines, of
// which none may be lost or doubled.
const (
	steady  = 4
	victims = 4
	tickers = 4
)

const chaosPort = 23000

func chaosManifest(o options, dir string) string {
	service := filepath.Join(o.bin, "service")
	var b strings.Builder
	b.WriteString("name: chaos\nservices:\n")
	restart := "    restart: {policy: always, min: 20ms, max: 200ms, limit: 100000, window: 1m}\n"
	for i := range steady {
		fmt.Fprintf(&b, "  steady%d:\n    command: [%q, -listen]\n    ports: {http: %d}\n", i, service, chaosPort+i)
	}
	for i := range victims {
		fmt.Fprintf(&b, "  victim%d:\n    command: [%q, -listen, -escape, -record, %q]\n    ports: {http: %d}\n%s",
			i, service, filepath.Join(dir, "record"), chaosPort+100+i, restart)
	}
	for i := range tickers {
		fmt.Fprintf(&b, "  ticker%d:\n    command: [%q, -every, 2ms, -count, %q]\n%s",
			i, service, filepath.Join(dir, fmt.Sprintf("count%d", i)), restart)
	}
	return b.String()
}

// attack is one run of chaos.
type attack struct {
	*stead
	random *rand.Rand
	client http.Client
	daemon *exec.Cmd
	pids   map[string]int // of the steady services
	kills  map[string]int // what was done, how often
	fds    int            // of the runtime, before
}

func chaos(o options) error {
	fmt.Printf("chaos for %v, seed %d\n", o.duration, o.seed)
	s, err := newStead(o, "")
	if err != nil {
		return err
	}
	a := &attack{
		stead: s, random: rand.New(rand.NewPCG(o.seed, 0)), kills: map[string]int{},
		client: http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	if err := os.WriteFile(filepath.Join(s.dir, "stead.yaml"), []byte(chaosManifest(o, s.dir)), 0o644); err != nil {
		return err
	}
	err = a.run()
	if err != nil {
		fmt.Printf("kept for a look: %s\n", s.dir)
		_, _ = s.run("daemon", "stop", "--services")
	}
	return err
}

func (a *attack) run() error {
	if err := a.startDaemon(); err != nil {
		return err
	}
	if _, err := a.stead.run("up", "-d"); err != nil {
		return err
	}
	if err := a.note(); err != nil {
		return err
	}
	for end := time.Now().Add(a.o.duration); time.Now().Before(end); {
		if err := a.strike(); err != nil {
			return err
		}
		time.Sleep(time.Duration(20+a.random.IntN(180)) * time.Millisecond)
	}
	fmt.Printf("struck: %v\n", a.kills)
	return a.verify()
}

// startDaemon runs steadd as a child, so that its death is seen at once.
func (a *attack) startDaemon() error {
	a.daemon = exec.Command(filepath.Join(a.o.bin, "steadd"))
	a.daemon.Env = append(os.Environ(), "STEAD_HOME="+a.dir+"/home", "STEAD_ORPHAN_TTL=60s", "HOME="+a.dir)
	a.daemon.Dir = a.dir
	log, err := os.OpenFile(filepath.Join(a.dir, "daemon.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	a.daemon.Stdout, a.daemon.Stderr = log, log
	return a.daemon.Start()
}

// note remembers what must not change.
func (a *attack) note() error {
	pids, err := a.services()
	if err != nil {
		return err
	}
	a.pids = map[string]int{}
	for name, pid := range pids {
		if strings.HasPrefix(name, "steady") {
			a.pids[name] = pid
		}
	}
	a.fds, err = a.runtimeFDs()
	return err
}

// strike does one random thing.
func (a *attack) strike() error {
	victim := fmt.Sprintf("victim%d", a.random.IntN(victims))
	port := chaosPort + 100 + int(victim[len(victim)-1]-'0')
	what := []string{"daemon", "kill", "kill", "exit", "exit", "ticker", "restart", "status"}[a.random.IntN(8)]
	a.kills[what]++
	switch what {
	case "daemon":
		_ = a.daemon.Process.Kill()
		_ = a.daemon.Wait()
		if a.random.IntN(2) == 0 { // a while without anybody
			time.Sleep(time.Duration(a.random.IntN(300)) * time.Millisecond)
		}
		return a.startDaemon()
	case "kill", "ticker":
		if what == "ticker" {
			victim = fmt.Sprintf("ticker%d", a.random.IntN(tickers))
		}
		if pids, err := a.services(); err == nil && pids[victim] > 0 {
			_ = syscall.Kill(pids[victim], syscall.SIGKILL)
		}
	case "exit":
		res, err := a.client.Get(fmt.Sprintf("http://127.0.0.1:%d/exit?code=%d", port, 1+a.random.IntN(100)))
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	case "restart":
		_, err := a.stead.run("restart", victim)
		if err != nil && !strings.Contains(err.Error(), "no daemon") {
			return err
		}
	}
	return nil
}

// serviceStatus is what `stead status` says.
type serviceStatus struct {
	Name      string `json:"name"`
	Phase     string `json:"phase"`
	Instances []struct {
		PID   int    `json:"pid"`
		Phase string `json:"phase"`
	} `json:"instances"`
}

func (a *attack) status() ([]serviceStatus, error) {
	var out []byte
	var err error
	for range 100 { // the daemon may be on its way
		if out, err = a.stead.run("status", "--output", "json"); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	var status struct {
		Services []serviceStatus `json:"services"`
	}
	err = json.Unmarshal(out, &status)
	return status.Services, err
}

// services returns the pid of each service.
func (a *attack) services() (map[string]int, error) {
	list, err := a.status()
	pids := map[string]int{}
	for _, s := range list {
		for _, i := range s.Instances {
			if i.PID > 0 {
				pids[s.Name] = i.PID
			}
		}
	}
	return pids, err
}

// runtimeFDs counts the descriptors of the runtime.
func (a *attack) runtimeFDs() (int, error) {
	pids, err := a.stead.pids()
	if err != nil {
		return 0, err
	}
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(pids[1]) + "/fd")
	return len(entries), err
}

// verify checks every promise.
func (a *attack) verify() error {
	if err := a.settle(); err != nil {
		return err
	}
	return errors.Join(a.verifySteady(), a.verifyExits(), a.verifyFDs(), a.verifyEnd())
}

// settle waits until state equals what was asked for.
func (a *attack) settle() error {
	var list []serviceStatus
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var err error
		if list, err = a.status(); err != nil {
			return err
		}
		ready := 0
		for _, s := range list {
			if s.Phase == "ready" {
				ready++
			}
		}
		if ready == steady+victims+tickers {
			return nil
		}
	}
	return fmt.Errorf("not all services are ready: %+v", list)
}

func (a *attack) verifySteady() error {
	pids, err := a.services()
	if err != nil {
		return err
	}
	for name, pid := range a.pids {
		if pids[name] != pid {
			return fmt.Errorf("%s had pid %d and has %d", name, pid, pids[name])
		}
	}
	fmt.Printf("%d services that were not touched have their pids\n", len(a.pids))
	return nil
}

// verifyExits compares the exit codes that services recorded with those that
// stead tells.
func (a *attack) verifyExits() error {
	record, err := os.ReadFile(filepath.Join(a.dir, "record"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	out, err := a.stead.run("events", "--output", "json")
	if err != nil {
		return err
	}
	told := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var e struct {
			Kind     string `json:"kind"`
			Service  string `json:"service"`
			Instance string `json:"instance"`
			Text     string `json:"text"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		if e.Kind != "exit" {
			continue
		}
		key := e.Service + "/" + e.Instance
		if old, twice := told[key]; twice && old != e.Text {
			return fmt.Errorf("%s is told to have ended twice: %q and %q", key, old, e.Text)
		}
		told[key] = e.Text
	}
	n := 0
	for _, line := range strings.Split(strings.TrimSpace(string(record)), "\n") {
		id, code, ok := strings.Cut(line, " ")
		if !ok {
			continue
		}
		parts := strings.Split(id, "/") // environment/project/service/number/replica/attempt
		key := strings.Join(parts[2:], "/")
		if text := told[key]; text != "exit code "+code && !strings.HasPrefix(text, "exit code "+code+";") {
			return fmt.Errorf("%s recorded exit code %s; stead says %q", key, code, text)
		}
		n++
	}
	fmt.Printf("%d exit codes equal those that the services recorded\n", n)
	return nil
}

// verifyFDs allows the runtime a few descriptors more, for pipes of instances
// that are just being replaced.
func (a *attack) verifyFDs() error {
	fds, err := a.runtimeFDs()
	if err != nil {
		return err
	}
	fmt.Printf("the runtime had %d descriptors and has %d\n", a.fds, fds)
	if fds > a.fds+8 {
		return fmt.Errorf("the runtime leaks descriptors: %d, then %d", a.fds, fds)
	}
	return nil
}

// verifyEnd stops everything, and looks at what was written and what is left.
func (a *attack) verifyEnd() error {
	if _, err := a.stead.run("down"); err != nil {
		return err
	}
	var errs []error
	for i := range tickers {
		errs = append(errs, a.verifyTicker(i))
	}
	_, left, err := a.stead.end()
	_ = a.daemon.Wait()
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("%d processes are left", left))
	}
	return errors.Join(append(errs, err)...)
}

// verifyTicker checks that every line of a ticker is in the log once. The one
// that was noted but cut off by a kill may be missing.
func (a *attack) verifyTicker(i int) error {
	name := fmt.Sprintf("ticker%d", i)
	out, err := a.stead.run("logs", "--no-prefix", name)
	if err != nil {
		return err
	}
	seen := map[int]int{}
	for _, line := range strings.Split(string(out), "\n") {
		text, ok := strings.CutPrefix(line, "tick ")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%s: line %q", name, line)
		}
		seen[n]++
	}
	text, err := os.ReadFile(filepath.Join(a.dir, fmt.Sprintf("count%d", i)))
	if err != nil {
		return err
	}
	last, _ := strconv.Atoi(string(text))
	missing := 0
	for n := 1; n <= last; n++ {
		switch {
		case seen[n] > 1:
			return fmt.Errorf("%s: line %d is there %d times", name, n, seen[n])
		case seen[n] == 0:
			missing++
		}
	}
	fmt.Printf("%s: %d lines, each once; %d noted, but cut off by a kill\n", name, last-missing, missing)
	if missing > a.kills["ticker"]+1 {
		return fmt.Errorf("%s: %d lines are missing", name, missing)
	}
	return nil
}
