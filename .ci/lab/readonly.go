package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// readOnly makes the home read-only while no daemon lives. The next one must
// say why it cannot work, services must not notice, and when the home can be
// written again nothing is lost.
func readOnly(o options) error {
	return inside(func() error {
		a, err := newAttack(o, spineServices(o))
		if err != nil {
			return err
		}
		if err := a.mountHome(roomySize); err != nil {
			return err
		}
		return attempt(a.stead, func() error { return a.rescue(a.sealed()) })
	})
}

func (a *attack) sealed() error {
	if err := a.begin(0); err != nil {
		return err
	}
	rounds := 0
	for began := time.Now(); rounds == 0 || time.Since(began) < a.o.duration; rounds++ {
		if err := a.seal(); err != nil {
			return fmt.Errorf("round %d: %w", rounds+1, err)
		}
	}
	fmt.Printf("the home was read-only %d times; calls said so, and services did not notice\n", rounds)
	owner, err := a.owner()
	if err != nil {
		return err
	}
	if _, err := a.call(patience, "down"); err != nil {
		return err
	}
	return errors.Join(a.auditExits(), a.auditLines("ticker0", owner+"/ticker0", "plain"), a.finish())
}

// seal is one round: calls are refused with the reason, an exit is seen to
// by the runtime alone, and told afterwards.
func (a *attack) seal() error {
	before := a.running()
	a.killDaemon()
	if err := a.sealHome(); err != nil {
		return err
	}
	a.exit("victim0", 1+a.random.IntN(60))
	var refusals error
	for _, args := range [][]string{{"status"}, {"up", "-d"}, {"restart", "victim1"}, {"logs", "ticker0"}} {
		_, err := a.call(patience, args...)
		switch {
		case err == nil:
			refusals = fmt.Errorf("stead %s: done, with a state that cannot be written", strings.Join(args, " "))
		case !strings.Contains(err.Error(), "read-only"):
			refusals = fmt.Errorf("with a read-only state, this is no explanation: %w", err)
		}
	}
	if err := errors.Join(refusals, a.unsealHome()); err != nil {
		return err
	}
	if err := a.start(); err != nil {
		return err
	}
	if err := a.settle(a.model); err != nil {
		return err
	}
	after := a.running()
	for name, list := range before {
		if name != "victim0" && (len(after[name]) != 1 || after[name][0].pid != list[0].pid) {
			return fmt.Errorf("%s was touched: it was %+v and is %+v", name, list, after[name])
		}
	}
	return a.orphans()
}
