package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The services of a storm: steady ones are never touched and answer requests
// all the time; victims leave processes behind, and are killed and told to
// exit; tickers write short lines, writer0 lines in two parts, writer1 long
// ones; the flapper exits by itself again and again.
const (
	steady  = 4
	victims = 4
	tickers = 3
	writers = 2
)

const restarts = "    restart: {policy: always, min: 20ms, max: 200ms, limit: 1000000, window: 1m}\n"

// longEvery keeps what writer1 writes in a run below what is kept of a log,
// 256 MiB: a line has 100 KB.
func longEvery(d time.Duration) time.Duration { return max(400*time.Millisecond, d/1500) }

func stormServices(o options) func(string) string {
	return func(dir string) string {
		var b strings.Builder
		command := func(name string, args ...string) {
			fmt.Fprintf(&b, "  %s:\n    command: [%q, %s, -record, %q]\n%s", name,
				filepath.Join(o.bin, "service"), strings.Join(args, ", "), filepath.Join(dir, "record"), restarts)
		}
		for i := range steady {
			command(fmt.Sprintf("steady%d", i), "-listen")
			b.WriteString("    ports: {http: auto}\n")
		}
		for i := range victims {
			command(fmt.Sprintf("victim%d", i), "-listen", "-escape")
			b.WriteString("    ports: {http: auto}\n")
		}
		line := func(name, kind string, every time.Duration) {
			command(name, "-write", kind, "-every", every.String(), "-count", filepath.Join(dir, name))
		}
		for i := range tickers {
			line(fmt.Sprintf("ticker%d", i), "plain", 2*time.Millisecond)
		}
		line("writer0", "partial", 25*time.Millisecond)
		line("writer1", "long", longEvery(o.duration))
		command("flapper0", "-exit-next", filepath.Join(dir, "codes"), "-after", "40ms")
		return b.String()
	}
}

// attack is one storm.
type attack struct {
	*stead
	random *rand.Rand
	client http.Client
	model  model
	urls   map[string]string
	pids   map[string]int  // of the steady services
	struck map[string]int  // kinds, how often
	killed map[string]bool // instances killed by the attacker, service/generation/replica/attempt
	abrupt int             // calls that may kill an instance without grace
	events ledger
	brain  footprint // before the storm
	spine  footprint
	clock  *clock // that is set now and then, nil for never
}

func storm(o options) error {
	a, err := newAttack(o, stormServices(o))
	if err != nil {
		return err
	}
	return attempt(a.stead, a.run)
}

// clockStorm is a storm in which the clock of the machine jumps.
func clockStorm(o options) error {
	c, err := newClock()
	if err != nil {
		return err
	}
	a, err := newAttack(o, stormServices(o))
	if err != nil {
		return err
	}
	a.clock = c
	return attempt(a.stead, a.run)
}

func newAttack(o options, services func(dir string) string) (*attack, error) {
	s, err := newTarget(o, services)
	if err != nil {
		return nil, err
	}
	return &attack{
		stead: s, random: plan(o.seed), model: model{}, urls: map[string]string{}, pids: map[string]int{},
		struck: map[string]int{}, killed: map[string]bool{}, events: ledger{},
		client: http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}, nil
}

func (a *attack) run() error {
	if err := a.begin(steady); err != nil {
		return err
	}
	steadies := map[string]string{}
	for name, url := range a.urls {
		if strings.HasPrefix(name, "steady") {
			steadies[name] = url
		}
	}
	load := startLoad(steadies)
	err := a.rage()
	if a.clock != nil {
		err = errors.Join(err, a.clock.end())
	}
	if err == nil {
		err = a.settle(a.model)
	}
	if err = errors.Join(err, load.end()); err != nil {
		return err
	}
	return a.audit()
}

// begin starts everything, so many steady services among it, and notes what
// must not change.
func (a *attack) begin(steady int) error {
	if err := a.start(); err != nil {
		return err
	}
	if _, err := a.call(patience, "up", "-d"); err != nil {
		return err
	}
	list, err := a.status()
	if err != nil {
		return err
	}
	for _, s := range list {
		a.model[s.Name] = wishUp
		if len(s.URLs) > 0 {
			a.urls[s.Name] = s.URLs[0]
		}
		if strings.HasPrefix(s.Name, "steady") && len(s.Instances) == 1 {
			a.pids[s.Name] = s.Instances[0].PID
		}
	}
	if len(a.pids) != steady {
		return fmt.Errorf("only %d steady services run", len(a.pids))
	}
	a.brain, a.spine, err = a.footprints()
	return err
}

// Some promises can only be seen when what runs is left to run for a while:
// the daemon is not killed in the last part of a storm.
const calmPart = 4

// collectEvery is more often than the 10,000 events that stead keeps fill up.
const collectEvery = 15 * time.Second

// rage strikes until the time is over.
func (a *attack) rage() error {
	began, collected := time.Now(), time.Now()
	for {
		passed := time.Since(began)
		if passed > a.o.duration {
			break
		}
		if a.clock != nil {
			if err := a.clock.jump(); err != nil {
				return err
			}
		}
		s := next(a.random, passed > a.o.duration-a.o.duration/calmPart)
		a.struck[s.kind]++
		if err := a.strike(s); err != nil {
			return fmt.Errorf("strike %+v: %w", s, err)
		}
		if time.Since(collected) > collectEvery {
			collected = time.Now()
			if err := a.events.collect(a.stead); err != nil {
				return err
			}
		}
		time.Sleep(s.pause)
	}
	fmt.Printf("struck: %v\n", a.struck)
	return nil
}

// everybody is all services that the attacker may touch.
func (a *attack) everybody() []string {
	var list []string
	for name := range a.model {
		if !strings.HasPrefix(name, "steady") {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}
