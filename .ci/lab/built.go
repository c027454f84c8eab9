package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// newSteadOf is a stead whose only service, web, is a program.
func newSteadOf(o options, port int, notify string, make func(o options, dir, notify string) (*program, error)) (*stead, *program, error) {
	s, err := newStead(o, "")
	if err != nil {
		return nil, nil, err
	}
	p, err := make(o, s.dir, notify)
	if err != nil {
		return s, nil, err
	}
	text := fmt.Sprintf("name: bench\nservices:\n  web:\n    working_dir: src\n    command: [%q", p.run[0])
	for _, arg := range p.run[1:] {
		text += fmt.Sprintf(", %q", arg)
	}
	text += fmt.Sprintf("]\n    ports: {http: %d}\n", port)
	if p.build == nil {
		text += fmt.Sprintf("    watch: [src/%s]\n", p.file)
	} else {
		text += fmt.Sprintf("    build: {command: %s, dir: src}\n", list(p.build))
	}
	cache, err := goCache()
	if err != nil {
		return s, p, err
	}
	s.env = append(s.env, cache)
	return s, p, os.WriteFile(filepath.Join(s.dir, "stead.yaml"), []byte(text), 0o644)
}

func list(args []string) string {
	text, _ := json.Marshal(args) // strings always work, and JSON is YAML
	return string(text)
}

// saveBuild: a save of a Go service until the new process answers, beside go
// build by hand and a bare start; and that without the build.
func saveBuild(o options, v *verdicts) error {
	hand, err := newHand(o)
	if err != nil {
		return err
	}
	defer hand.end()
	r, err := newBuilt(o)
	if err != nil {
		return err
	}
	defer r.end()
	var builds, starts, floor, ours, after sample
	for range o.samples {
		build, start, err := hand.measure()
		if err != nil {
			return err
		}
		builds, starts, floor = append(builds, build), append(starts, start), append(floor, build+start)
		total, rest, err := r.measure()
		if err != nil {
			return err
		}
		ours, after = append(ours, total), append(after, rest)
	}
	fmt.Printf("save -> new process answers, with go build\n  build alone  %v\n  floor        %v\n  stead        %v\n", builds, floor, ours)
	fmt.Printf("  build end -> new process answers\n  floor        %v\n  stead        %v\n", starts, after)
	v.check("build end -> answers: p50 <= floor + 10 ms", after.percentile(50) <= starts.percentile(50)+10*time.Millisecond)
	v.check("build end -> answers: p95 <= floor + 20 ms", after.percentile(95) <= starts.percentile(95)+20*time.Millisecond)
	return compare(o, v, newModule)
}

// hand is the floor: go build by hand, then a bare start.
type hand struct {
	dir     string
	program *program
	told    *announcements
}

func newHand(o options) (*hand, error) {
	dir, err := os.MkdirTemp("", "hand-")
	if err != nil {
		return nil, err
	}
	told, err := listen()
	if err != nil {
		return nil, err
	}
	p, err := newModule(o, dir, told.path)
	if err != nil {
		return nil, err
	}
	return &hand{dir, p, told}, p.buildByHand() // the first fills Go's cache
}

func (h *hand) end() {
	h.told.close()
	_ = os.RemoveAll(h.dir)
}

func (h *hand) measure() (build, start time.Duration, err error) {
	if err := h.program.save(); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := h.program.buildByHand(); err != nil {
		return 0, 0, err
	}
	build = time.Since(began)
	ports, err := freePorts(1)
	if err != nil {
		return 0, 0, err
	}
	began = time.Now()
	cmd := exec.Command(h.program.run[0], h.program.run[1:]...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", ports[0]))
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if err := h.told.wait(1, time.Minute); err != nil {
		return 0, 0, err
	}
	_, err = until(local(ports[0]), "")
	return build, time.Since(began), err
}

// built is a stead with that program, up.
type built struct {
	*stead
	program *program
	told    *announcements
	port    int
	answer  string
	ends    *buildEnds
}

func newBuilt(o options) (*built, error) {
	told, err := listen()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	b := &built{told: told, port: ports[0]}
	if b.stead, b.program, err = newSteadOf(o, b.port, told.path, newModule); err != nil {
		return nil, err
	}
	if err := b.begin(); err != nil {
		b.end()
		return nil, err
	}
	return b, nil
}

func (b *built) begin() error {
	if _, err := b.run("up", "-d"); err != nil {
		return err
	}
	if err := b.told.wait(1, time.Minute); err != nil {
		return err
	}
	var err error
	if b.answer, err = until(local(b.port), ""); err != nil {
		return err
	}
	b.ends, err = b.followBuilds()
	return err
}

func (b *built) end() {
	_, _, _ = b.stead.end()
	if b.ends != nil {
		b.ends.close()
	}
	b.told.close()
}

// measure saves, and returns when the new process answers: since the save, and
// since the end of the build.
func (b *built) measure() (total, rest time.Duration, err error) {
	time.Sleep(50 * time.Millisecond) // the one before is being stopped
	began := time.Now()
	if err := b.program.save(); err != nil {
		return 0, 0, err
	}
	if err := b.told.wait(1, time.Minute); err != nil {
		return 0, 0, err
	}
	if b.answer, err = until(local(b.port), b.answer); err != nil {
		return 0, 0, err
	}
	answered := time.Now()
	end, err := b.ends.next()
	return answered.Sub(began), answered.Sub(end), err
}

// buildEnds tells when builds of web ended: a generation that was building
// starts then.
type buildEnds struct {
	cmd  *exec.Cmd
	out  io.ReadCloser
	text *json.Decoder
}

func (s *stead) followBuilds() (*buildEnds, error) {
	cmd := s.command(context.Background(), "stead", "events", "-f", "--output", "json", "web")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e := &buildEnds{cmd, out, json.NewDecoder(out)}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	_, err = e.next() // of the first generation
	return e, err
}

func (e *buildEnds) next() (time.Time, error) {
	for {
		var event struct {
			Time       time.Time
			Kind, Text string
		}
		if err := e.text.Decode(&event); err != nil {
			return time.Time{}, errors.Join(errors.New("no event of a build's end"), err)
		}
		if event.Kind == "phase" && event.Text == "starting" {
			return event.Time, nil
		}
	}
}

func (e *buildEnds) close() {
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
}
