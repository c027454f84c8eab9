package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// keeper is a peer that restarts one command when it dies, and shows its
// output on its own.
type keeper struct {
	name    string
	command func(path, dir, command string) ([]string, error)
	follow  func(path, dir string) []string // what shows its output elsewhere
}

// keepers are what make peers installs, as far as it is to be had.
var keepers = []keeper{
	{"process-compose", func(path, dir, command string) ([]string, error) {
		conf := filepath.Join(dir, "process-compose.yaml")
		text := fmt.Sprintf("processes:\n  web:\n    command: %q\n    availability: {restart: always}\n", "exec "+command)
		return []string{path, "up", "-f", conf, "--tui=false", "-U", "-u", filepath.Join(dir, "s")}, os.WriteFile(conf, []byte(text), 0o600)
	}, func(path, dir string) []string {
		return []string{path, "process", "logs", "web", "-f", "-n", "1", "-U", "-u", filepath.Join(dir, "s")}
	}},
	{"overmind", func(path, dir, command string) ([]string, error) { // which needs tmux
		conf := filepath.Join(dir, "Procfile")
		return []string{path, "start", "-f", conf, "-N", "-r", "all", "-s", filepath.Join(dir, "s")}, os.WriteFile(conf, []byte("web: exec "+command+"\n"), 0o600)
	}, func(path, dir string) []string { return []string{path, "echo", "-s", filepath.Join(dir, "s")} }},
}

// kept is a peer that runs.
type kept struct {
	name   string
	mark   string // in the environment of all that is the peer's
	out    io.ReadCloser
	follow func() (io.ReadCloser, error) // the same from elsewhere
	end    func()
}

func (k keeper) start(o options, command string) (*kept, error) {
	path, err := findPeer(o, k.name)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "keeper-")
	if err != nil {
		return nil, err
	}
	args, err := k.command(path, dir, command)
	if err != nil {
		return nil, err
	}
	mark := "LAB_PEER=" + dir
	var running []*exec.Cmd
	run := func(args []string) (io.ReadCloser, error) {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), mark, "HOME="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		running = append(running, cmd)
		return out, cmd.Start()
	}
	out, err := run(args)
	follow := func() (io.ReadCloser, error) { return run(k.follow(path, dir)) }
	return &kept{k.name, mark, out, follow, func() {
		endAll(mark)
		for _, cmd := range running {
			_ = cmd.Wait()
		}
		_ = os.RemoveAll(dir)
	}}, err
}

// pid returns that of the service that a peer runs, which is a process of the
// program service with the peer's mark.
func (k *kept) pid() int {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains("\x00"+string(text), "\x00"+k.mark+"\x00") {
			continue
		}
		exe, _ := os.Readlink(filepath.Join(filepath.Dir(file), "exe"))
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && filepath.Base(exe) == "service" {
			return pid
		}
	}
	return 0
}

// startKeepers starts those that are there, each with a command of its own.
func startKeepers(o options, command func(i int) string) ([]*kept, error) {
	var all []*kept
	for i, k := range keepers {
		if _, err := findPeer(o, k.name); err != nil {
			fmt.Printf("  %s is not installed: not measured\n", k.name)
			continue
		}
		one, err := k.start(o, command(i))
		if err != nil {
			return all, fmt.Errorf("%s: %w", k.name, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// logsFollow measures from before a line is written until the follower has
// written it. The followers run at once; of a peer, its own output, which has
// a process less on its way, and what its command for following shows.
func logsFollow(o options, v *verdicts) error {
	service := filepath.Join(o.bin, "service")
	s, err := newStead(o, fmt.Sprintf("name: bench\nservices:\n  ticker:\n    command: [%q, -every, 13ms, -stamp]\n", service))
	if err != nil {
		return err
	}
	defer s.end()
	if _, err := s.run("up", "-d"); err != nil {
		return err
	}
	cmd := s.command(context.Background(), "stead", "logs", "-f", "-n", "1", "--no-prefix", "ticker")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	peers, err := startKeepers(o, func(int) string { return service + " -every 13ms -stamp" })
	for _, p := range peers {
		defer p.end()
	}
	if err != nil {
		return err
	}
	type theirs struct {
		name string
		took chan sample
	}
	var others []theirs
	listen := func(name string, r io.Reader) {
		other := theirs{name, make(chan sample, 1)}
		others = append(others, other)
		go func() { // until it has enough, or the peer ends
			took, _ := timesOf(r, o.samples)
			other.took <- took
			_, _ = io.Copy(io.Discard, r)
		}()
	}
	time.Sleep(2 * time.Second) // until the peers take commands
	for _, p := range peers {
		shown, err := p.follow()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		listen(p.name+"'s follower", shown)
		listen(p.name+" itself", p.out)
	}
	took, err := timesOf(out, o.samples)
	if err != nil {
		return fmt.Errorf("logs -f: %w", err)
	}
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	fmt.Printf("a line from its writing to `stead logs -f`\n  %-27s %v\n", "stead", took)
	for _, p := range others {
		select {
		case took := <-p.took:
			fmt.Printf("  %-27s %v\n", p.name, took)
		case <-time.After(answerLimit):
			fmt.Printf("  %-27s shows less\n", p.name)
		}
	}
	v.check("p95 <= 10 ms", took.percentile(95) <= 10*time.Millisecond)
	return nil
}

// timesOf reads lines that end with the time they were written at.
func timesOf(r io.Reader, samples int) (sample, error) {
	var took sample
	in, began := bufio.NewReader(r), time.Now().UnixNano() // what is older was not shown as it came
	for len(took) < samples {
		line, err := in.ReadString('\n')
		seen := time.Now()
		if err != nil {
			return took, err
		}
		at, ok := stamp(line)
		if ok && at > began {
			took = append(took, seen.Sub(time.Unix(0, at)))
		}
	}
	return took, nil
}

// stamp returns the time at the end of a line, behind which a terminal's
// colours may be.
func stamp(line string) (int64, bool) {
	fields := strings.Fields(strings.ReplaceAll(line, "\x1b[0m", ""))
	if len(fields) == 0 {
		return 0, false
	}
	at, err := strconv.ParseInt(fields[len(fields)-1], 10, 64)
	return at, err == nil && at > 1e18
}
