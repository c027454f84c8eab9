package main

import (
	"errors"
	"fmt"
	"strings"
)

// audit checks every promise after the storm.
func (a *attack) audit() error {
	owner, err := a.owner()
	if err != nil {
		return err
	}
	errs := []error{a.auditSteady(), a.orphans(), a.auditLeaks()}
	if _, err := a.call(patience, "down"); err != nil {
		return errors.Join(append(errs, err)...)
	}
	errs = append(errs, a.auditExits())
	for service, kind := range map[string]string{
		"ticker0": "plain", "ticker1": "plain", "ticker2": "plain", "writer0": "partial", "writer1": "long",
	} {
		errs = append(errs, a.auditLines(service, owner+"/"+service, kind))
	}
	return errors.Join(append(errs, a.finish())...)
}

// owner returns environment/project of the services, from one that runs.
func (a *attack) owner() (string, error) {
	for service, list := range a.running() {
		if service == "gateway" {
			continue // of another project: stead's own
		}
		return strings.Join(strings.Split(list[0].id, "/")[:2], "/"), nil
	}
	return "", errors.New("no service runs")
}

// auditSteady compares pids as stead tells them, and as they are.
func (a *attack) auditSteady() error {
	list, err := a.status()
	if err != nil {
		return err
	}
	alive := a.running()
	for _, s := range list {
		pid, ok := a.pids[s.Name]
		if !ok {
			continue
		}
		if len(s.Instances) != 1 || s.Instances[0].PID != pid || len(alive[s.Name]) != 1 || alive[s.Name][0].pid != pid {
			return fmt.Errorf("%s had pid %d; stead says %+v, and there is %+v", s.Name, pid, s.Instances, alive[s.Name])
		}
	}
	fmt.Printf("%d services that were not touched have their pids\n", len(a.pids))
	return nil
}

// What a process may hold more than before: descriptors for the pipes and
// connections of an instance on its way, and two for the log of a service that
// had not written before; goroutines for the same, and memory that Go keeps.
const (
	moreDescriptors = 8 + 2*12
	moreGoroutines  = 12
	moreKiB         = 16 << 10
)

// auditLeaks brings everything up, as it was when the first footprint was
// taken, and compares.
func (a *attack) auditLeaks() error {
	if _, err := a.call(patience, "up", "-d"); err != nil {
		return err
	}
	brain, spine, err := a.footprints()
	if err != nil {
		return err
	}
	return errors.Join(a.brain.compare("the daemon", brain), a.spine.compare("the runtime", spine))
}

func (f footprint) compare(who string, now footprint) error {
	fmt.Printf("%s had %d descriptors, %d goroutines, %d KiB (PSS), and has %d, %d, %d\n", who,
		f.descriptors, f.goroutines, f.kib, now.descriptors, now.goroutines, now.kib)
	if now.descriptors > f.descriptors+moreDescriptors || now.goroutines > f.goroutines+moreGoroutines || now.kib > f.kib*3/2+moreKiB {
		return fmt.Errorf("%s leaks: it had %+v and has %+v", who, f, now)
	}
	return nil
}
