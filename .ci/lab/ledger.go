package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ledger is the events that stead has told, by sequence. It keeps 10,000, so
// they are collected now and then. What a killed daemon had told and not yet
// committed is told again under the same number, or another: the last word
// counts.
type ledger map[uint64]event

type event struct {
	Sequence uint64 `json:"sequence"`
	Kind     string `json:"kind"`
	Service  string `json:"service"`
	Instance string `json:"instance"`
	Text     string `json:"text"`
}

// lines calls fn with each line that a call of the CLI writes.
func (s *stead) lines(fn func([]byte) error, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := s.command(ctx, "stead", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 4<<20)
	for scanner.Scan() && err == nil {
		err = fn(scanner.Bytes())
	}
	if err = errors.Join(err, scanner.Err()); err != nil {
		cancel()
	}
	if e := cmd.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("stead %s: %w\n%s", strings.Join(args, " "), e, said.Bytes()))
	}
	return err
}

func (l ledger) collect(s *stead) error {
	return s.lines(func(line []byte) error {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("event %q: %w", line, err)
		}
		if e.Sequence != 0 {
			l[e.Sequence] = e
		}
		return nil
	}, "events", "--all", "--output", "json")
}

// exits returns how each instance is told to have ended, once it must be.
func (l ledger) exits() (map[string]string, error) {
	told := map[string]string{}
	var errs []error
	var last uint64
	for _, sequence := range slices.Sorted(keys(l)) {
		e := l[sequence]
		if last != 0 && sequence != last+1 {
			errs = append(errs, fmt.Errorf("no events from %d to %d", last+1, sequence-1))
		}
		last = sequence
		if e.Kind != "exit" {
			continue
		}
		key := e.Service + "/" + e.Instance
		if old, twice := told[key]; twice {
			errs = append(errs, fmt.Errorf("the exit of %s is told twice: %q, then %q (event %d)", key, old, e.Text, sequence))
		}
		told[key], _, _ = strings.Cut(e.Text, ";") // what follows is about leftovers
	}
	return told, errors.Join(errs...)
}

func keys(l ledger) func(func(uint64) bool) {
	return func(yield func(uint64) bool) {
		for k := range l {
			if !yield(k) {
				return
			}
		}
	}
}

// recorded returns the exit codes that services noted themselves, by
// service/generation/replica/attempt.
func recorded(path string) (map[string]int, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	codes := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		id, code, ok := strings.Cut(line, " ")
		parts := strings.SplitN(id, "/", 3) // environment/project/…
		n, err := strconv.Atoi(code)
		if !ok || len(parts) != 3 || err != nil {
			continue
		}
		codes[parts[2]] = n
	}
	return codes, nil
}

// auditExits compares what stead tells with what services recorded, and with
// whom the attacker killed.
func (a *attack) auditExits() error {
	if err := a.events.collect(a.stead); err != nil {
		return err
	}
	told, err := a.events.exits()
	errs := []error{err}
	codes, err := recorded(filepath.Join(a.dir, "record"))
	if err != nil {
		return err
	}
	for key, code := range codes {
		text, ok := told[key]
		switch {
		case ok && text == fmt.Sprint("exit code ", code):
		case text == "killed by SIGKILL" && a.killed[key]: // just before it was gone
		case !ok && a.lives(key): // asked to end, not yet gone
		default:
			errs = append(errs, fmt.Errorf("%s recorded exit code %d, and stead says %q", key, code, text))
		}
	}
	killed, unrecorded := 0, 0
	for key, text := range told {
		_, noted := codes[key]
		switch {
		case noted, strings.HasPrefix(key, "gateway/"): // stead's own notes nothing
		case text == "killed by SIGKILL" && a.killed[key]:
			killed++
		case text == "killed by SIGKILL" || text == "killed by SIGTERM" || text == "exit code 143":
			unrecorded++ // ended before its main began, or superseded before it was ready
		default:
			errs = append(errs, fmt.Errorf("%s ended by itself, as stead says, with %q, and did not record that", key, text))
		}
	}
	if unrecorded > a.abrupt {
		errs = append(errs, fmt.Errorf("%d instances were killed by nobody knows whom in %d calls", unrecorded, a.abrupt))
	}
	errs = append(errs, gapless(told))
	fmt.Printf("%d exits told: %d as the services recorded them, %d killed by the attack, %d ended by stead too early to record it\n",
		len(told), len(codes), killed, unrecorded)
	return errors.Join(errs...)
}

func (a *attack) lives(key string) bool {
	p, ok := a.leader(strings.Split(key, "/")[0])
	return ok && p.label() == key
}

// gapless fails when of a replica's attempts some are told and one before the
// last is not.
func gapless(told map[string]string) error {
	attempts := map[string][]int{}
	for key := range told {
		at := strings.LastIndexByte(key, '/')
		n, _ := strconv.Atoi(key[at+1:])
		attempts[key[:at]] = append(attempts[key[:at]], n)
	}
	var errs []error
	for replica, list := range attempts {
		if most := slices.Max(list); most != len(list) {
			errs = append(errs, fmt.Errorf("of %s, %d attempts ended and %d are told", replica, most, len(list)))
		}
	}
	return errors.Join(errs...)
}
