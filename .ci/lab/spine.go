package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// lateLines bounds what the death of the runtime may cost of a service that
// writes a line each 2 ms: what it had in the pipe, read or not, when nobody
// was there to write it down. 100 ms of it is far more than there ever is.
const lateLines = 50

func spineServices(o options) func(string) string {
	return func(dir string) string {
		var b strings.Builder
		service, record := filepath.Join(o.bin, "service"), filepath.Join(dir, "record")
		for i := range victims {
			fmt.Fprintf(&b, "  victim%d:\n    command: [%q, -listen, -escape, -record, %q]\n    ports: {http: auto}\n%s", i, service, record, restarts)
		}
		fmt.Fprintf(&b, "  ticker0:\n    command: [%q, -write, plain, -every, 2ms, -count, %q, -record, %q]\n%s",
			service, filepath.Join(dir, "ticker0"), record, restarts)
		return b.String()
	}
}

// spineless kills the runtime again and again. Services cannot survive that:
// none may be left, all must come back, and each loss must be told.
func spineless(o options) error {
	s, err := newTarget(o, spineServices(o))
	if err != nil {
		return err
	}
	random := plan(o.seed)
	m := model{"ticker0": wishUp}
	for i := range victims {
		m[fmt.Sprint("victim", i)] = wishUp
	}
	return attempt(s, func() error {
		if err := s.start(); err != nil {
			return err
		}
		if _, err := s.call(patience, "up", "-d"); err != nil {
			return err
		}
		events, kills := ledger{}, 0
		for began := time.Now(); kills == 0 || time.Since(began) < o.duration; kills++ {
			time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
			if err := s.killSpine(m, events, random.IntN(3) == 0); err != nil {
				return fmt.Errorf("kill %d of the runtime: %w", kills+1, err)
			}
		}
		fmt.Printf("the runtime was killed %d times; all that ran was gone, came back, and was told as lost\n", kills)
		if _, err := s.call(patience, "down"); err != nil {
			return err
		}
		return errors.Join(s.auditRaw("ticker0", kills*lateLines), s.finish())
	})
}

// killSpine kills the runtime, maybe with the daemon, and looks at one loss.
func (s *stead) killSpine(m model, events ledger, both bool) error {
	before := s.processes()
	if both {
		s.killDaemon()
	}
	for _, p := range before {
		if p.name == "stead-runtime-process" {
			kill(p.pid)
		}
	}
	if both {
		if err := s.start(); err != nil {
			return err
		}
	}
	if err := s.settle(m); err != nil {
		return err
	}
	for _, p := range before {
		if now, lives := inspect(p.pid); lives && p.name == "service" && now.command == p.command {
			return fmt.Errorf("pid %d outlived its runtime: %s (STEAD_ID %q)", p.pid, p.command, p.id)
		}
	}
	if err := s.orphans(); err != nil {
		return err
	}
	if err := events.collect(s); err != nil {
		return err
	}
	told, err := events.exits()
	for _, p := range before {
		if p.service() != "" && p.name == "service" && told[p.label()] == "" {
			err = errors.Join(err, fmt.Errorf("what became of %s is not told", p.label()))
		}
	}
	return err
}

// auditRaw looks at the segments themselves: each line is there once at most,
// and no more than allowed are missing.
func (s *stead) auditRaw(service string, allowed int) error {
	text, err := s.segments(service)
	if err != nil {
		return err
	}
	noted, err := os.ReadFile(filepath.Join(s.dir, service))
	if err != nil {
		return err
	}
	last, _ := strconv.Atoi(strings.TrimSpace(string(noted)))
	line := regexp.MustCompile(`(out|err) (\d+) [a-z]+/[^/\s]+/` + service + `/\d+/0/\d+( [a-z]*)?\n`)
	count := map[string]int{}
	for _, found := range line.FindAllSubmatch(text, -1) {
		key := string(found[1]) + " " + string(found[2])
		if count[key]++; count[key] > 1 {
			return fmt.Errorf("%s: line %q is there %d times", service, key, count[key])
		}
	}
	missing := 2*last - len(count)
	fmt.Printf("%s: %d lines, each once; %d were lost with the runtime\n", service, len(count), missing)
	if missing > allowed {
		return fmt.Errorf("%s: %d lines are missing, where at most %d may be", service, missing, allowed)
	}
	return nil
}

// segments returns all that is kept of a service's log.
func (s *stead) segments(service string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(s.home(), "logs", "*", "*", service, "*.log"))
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, file := range files { // sorted, as their names are offsets
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, text...)
	}
	return all, nil
}
