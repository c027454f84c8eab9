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
	"sync"
	"syscall"
	"time"
)

// logs: what services write at full speed, against a bare copy from a pipe to
// a file; a search, against grep on the same files; and a line from its
// writing until `stead logs -f` shows it. Each is a row of its own, too.
func logs(o options, v *verdicts) error {
	for _, row := range []func(options, *verdicts) error{logsOne, logsHundred, logsFollow} {
		if err := row(o, v); err != nil {
			return err
		}
	}
	return nil
}

func logsOne(o options, v *verdicts) error { return logsPour(o, v, 1, int64(o.mib)<<20, true) }

func logsHundred(o options, v *verdicts) error { return logsPour(o, v, 100, 10<<20, false) }

const lineSize = 120 // of testdata/service

// logsPour measures n services that write size bytes each at the same time.
func logsPour(o options, v *verdicts, n int, size int64, search bool) error {
	// All of it is to be kept, so that all of it can be looked at.
	if err := os.Setenv("STEAD_LOG_BYTES", strconv.Itoa(16<<30)); err != nil {
		return err
	}
	defer os.Unsetenv("STEAD_LOG_BYTES")
	var bare, ours, bareCPU, oursCPU sample
	peak := 0
	floor := func() error {
		took, busy, err := pourFloor(o, n, size)
		bare, bareCPU = append(bare, took), append(bareCPU, busy)
		return err
	}
	for round := range o.rounds {
		if round%2 == 0 { // who is second writes to a disk that is busy with the first one's
			if err := floor(); err != nil {
				return err
			}
		}
		p, err := pourStead(o, v, n, size, search && round == o.rounds-1)
		if err != nil {
			return err
		}
		ours, oursCPU, peak = append(ours, p.took), append(oursCPU, p.busy), max(peak, p.peak)
		if round%2 == 1 {
			if err := floor(); err != nil {
				return err
			}
		}
	}
	ratio := float64(bare.percentile(50)) / float64(ours.percentile(50))
	fmt.Printf("%d services write %d MiB each, %d rounds\n  bare copy %s (%.0f MB/s)  stead %s (%.0f MB/s)  %.2f x its speed\n  CPU of the copy: bare %s  stead %s   peak RSS of the spine %.1f MiB\n",
		n, size>>20, o.rounds, ms(bare.percentile(50)), speed(int64(n)*size, bare.percentile(50)),
		ms(ours.percentile(50)), speed(int64(n)*size, ours.percentile(50)), ratio,
		ms(bareCPU.percentile(50)), ms(oursCPU.percentile(50)), float64(peak)/1024)
	v.check("logs >= 0.8 x a bare pipe-to-file copy", ratio >= 0.8)
	v.check("peak RSS of the spine <= 64 MiB", peak <= 64<<10)
	return nil
}

func speed(bytes int64, d time.Duration) float64 { return float64(bytes) / 1e6 / d.Seconds() }

// pouring is a number of services that wait to write at once.
type pouring struct {
	dir     string
	waiting *announcements
}

func newPouring(dir string) (*pouring, error) {
	a, err := listen()
	if err != nil {
		return nil, err
	}
	return &pouring{dir, a}, syscall.Mkfifo(filepath.Join(dir, "gate"), 0o666)
}

// arguments of the service.
func (p *pouring) arguments(size int64) []string {
	return []string{"-bytes", fmt.Sprint(size), "-notify", p.waiting.path, "-gate", filepath.Join(p.dir, "gate"), "-report", filepath.Join(p.dir, "report")}
}

// run lets n services write, and returns the time from the first byte of all
// to the last, as they tell it themselves.
func (p *pouring) run(n int) (time.Duration, error) {
	if err := p.waiting.wait(n, time.Minute); err != nil {
		return 0, err
	}
	time.Sleep(300 * time.Millisecond) // from their word to their wait
	gate, err := os.OpenFile(filepath.Join(p.dir, "gate"), os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	_ = gate.Close()
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(p.dir, "report"))
		lines := strings.Fields(string(text))
		if len(lines) < 2*n || text[len(text)-1] != '\n' {
			continue
		}
		var first, last int64
		for i := 0; i < len(lines); i += 2 {
			began, _ := strconv.ParseInt(lines[i], 10, 64)
			ended, _ := strconv.ParseInt(lines[i+1], 10, 64)
			if first == 0 || began < first {
				first = began
			}
			last = max(last, ended)
		}
		return time.Duration(last - first), nil
	}
	return 0, fmt.Errorf("not all services have written")
}

// pourFloor copies from pipes to files, and does nothing else.
func pourFloor(o options, n int, size int64) (took, busy time.Duration, err error) {
	dir, err := os.MkdirTemp("", "stead-bench-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	p, err := newPouring(dir)
	if err != nil {
		return 0, 0, err
	}
	defer p.waiting.close()
	var copies sync.WaitGroup
	var all []*exec.Cmd
	for i := range n {
		cmd := exec.Command(filepath.Join(o.bin, "service"), append(p.arguments(size), "-exit", "0")...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			return 0, 0, err
		}
		file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.log", i)))
		if err != nil {
			return 0, 0, err
		}
		if err := cmd.Start(); err != nil {
			return 0, 0, err
		}
		all = append(all, cmd)
		copies.Go(func() { // ends with the process
			bareCopy(file, out)
			_ = file.Close()
		})
	}
	before := cpu([]int{os.Getpid()})
	took, err = p.run(n)
	copies.Wait()
	busy = cpu([]int{os.Getpid()}) - before
	for _, cmd := range all {
		_ = cmd.Wait()
	}
	return took, busy, err
}

func bareCopy(to io.Writer, from io.Reader) {
	block := make([]byte, 64<<10)
	for {
		n, err := from.Read(block)
		if err != nil {
			return
		}
		if _, err := to.Write(block[:n]); err != nil {
			return
		}
	}
}

// poured is what stead took for it.
type poured struct {
	took time.Duration
	busy time.Duration // CPU of daemon and spine
	peak int           // KiB
}

// pourStead lets stead do it, and looks for every line afterwards.
func pourStead(o options, v *verdicts, n int, size int64, search bool) (r poured, err error) {
	s, err := newStead(o, "")
	if err != nil {
		return r, err
	}
	defer s.end()
	p, err := newPouring(s.dir)
	if err != nil {
		return r, err
	}
	defer p.waiting.close()
	var b strings.Builder
	b.WriteString("name: bench\nservices:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%04d:\n    command: [%q, %s]\n", i, filepath.Join(o.bin, "service"), strings.Join(quoted(p.arguments(size)), ", "))
	}
	if err := os.WriteFile(filepath.Join(s.dir, "stead.yaml"), []byte(b.String()), 0o644); err != nil {
		return r, err
	}
	if _, err := s.run("up", "-d"); err != nil {
		return r, err
	}
	pids, err := s.pids()
	if err != nil {
		return r, err
	}
	before := cpu(pids)
	if r.took, err = p.run(n); err != nil {
		return r, err
	}
	r.busy = cpu(pids) - before
	for i := range n {
		if err := s.allThere(fmt.Sprintf("s%04d", i), size/lineSize); err != nil {
			return r, err
		}
	}
	if search {
		if err := s.search(o, v, size); err != nil {
			return r, err
		}
	}
	r.peak = peakRSS(pids[1])
	return r, nil
}

func quoted(words []string) []string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = strconv.Quote(word)
	}
	return out
}

// allThere reads a log through the CLI: each line is to be there, once, in
// order.
func (s *stead) allThere(service string, lines int64) error {
	cmd := s.command(context.Background(), "stead", "logs", "--no-prefix", "--stream", "stdout", service)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var n int64
	in := bufio.NewReaderSize(out, 1<<20)
	for {
		line, readErr := in.ReadSlice('\n')
		if readErr != nil {
			break
		}
		n++
		_, rest, _ := strings.Cut(string(line[:min(len(line), 80)]), " id=")
		if number, _ := strconv.ParseInt(rest[:min(10, len(rest))], 10, 64); number != n || len(line) != lineSize {
			err = fmt.Errorf("%s: line %d is %q", service, n, line)
			break
		}
	}
	_, _ = io.Copy(io.Discard, in)
	if waitErr := cmd.Wait(); err == nil {
		err = waitErr
	}
	if err == nil && n != lines {
		err = fmt.Errorf("%s: %d lines of %d are there", service, n, lines)
	}
	return err
}

// peakRSS returns what a process has needed at most, in KiB.
func peakRSS(pid int) int {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fields[0])
	return n
}

// search compares `stead logs --grep` with grep on the same files, as fast as
// grep can be (in the C locale).
func (s *stead) search(o options, v *verdicts, size int64) error {
	files, err := filepath.Glob(filepath.Join(s.dir, "home", "logs", "*", "*", "s0000", "*.log"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no log files: %w", err)
	}
	number := fmt.Sprintf("%010d", size/lineSize*3/4)
	for _, c := range []struct {
		name  string
		stead []string
		grep  []string
	}{
		{"a text", []string{"--grep", "id=" + number}, []string{"-h", "id=" + number}},
		{"a text, any case", []string{"-i", "--grep", "ID=" + number}, []string{"-hi", "ID=" + number}},
		{"an expression", []string{"--grep", "id=" + number + ".*status=[25]0+"}, []string{"-hE", "id=" + number + ".*status=[25]0+"}},
		{"one line in a thousand", []string{"--grep", "500 method"}, []string{"-h", "500 method"}},
	} {
		var bare, ours sample
		for range 5 {
			began := time.Now()
			cmd := exec.Command("grep", append(c.grep, files...)...)
			cmd.Env = append(os.Environ(), "LC_ALL=C")
			want, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("grep: %w", err)
			}
			bare = append(bare, time.Since(began))
			began = time.Now()
			got, err := s.command(context.Background(), "stead", append([]string{"logs", "--no-prefix", "s0000"}, c.stead...)...).Output()
			if err != nil {
				return fmt.Errorf("logs --grep: %w", err)
			}
			ours = append(ours, time.Since(began))
			if string(got) != string(want) {
				return fmt.Errorf("logs --grep finds %d bytes, grep %d", len(got), len(want))
			}
		}
		ratio := float64(ours.percentile(50)) / float64(bare.percentile(50))
		fmt.Printf("search of %d MiB for %s\n  grep %s  stead logs --grep %s (%.0f MB/s)  ratio %.2f\n", size>>20, c.name,
			ms(bare.percentile(50)), ms(ours.percentile(50)), speed(size, ours.percentile(50)), ratio)
		v.check("logs --grep <= 1.5 x grep", ratio <= 1.5)
	}
	return nil
}
