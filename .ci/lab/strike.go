package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// start runs a daemon, and reaps it when it ends.
func (s *stead) start() error {
	cmd := s.command(context.Background(), "steadd")
	log, err := os.OpenFile(filepath.Join(s.dir, "daemon.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // ends with the daemon; that it was killed is no news
	return nil
}

// killDaemon ends every daemon there is; calls may have started one too.
func (s *stead) killDaemon() {
	for _, p := range s.named("steadd") {
		kill(p.pid)
	}
}

// strike does what was drawn.
func (a *attack) strike(s strike) error {
	victim := fmt.Sprintf("victim%d", s.who%victims)
	asked := victim // of whom things are asked
	if s.code%3 == 0 {
		asked = fmt.Sprintf("ticker%d", s.who%tickers)
	}
	switch s.kind {
	case "daemon":
		a.killDaemon()
		if s.code%2 == 0 {
			time.Sleep(s.away / 4)
		}
		return a.start()
	case "daemons":
		for range s.times {
			a.killDaemon()
			if err := a.start(); err != nil {
				return err
			}
			time.Sleep(s.after)
		}
		return nil
	case "away":
		return a.away(s, victim)
	case "verb+daemon":
		return a.meet(s, asked)
	case "freeze":
		return a.freeze()
	case "kill":
		a.killService(s)
	case "exit":
		a.exit(victim, s.code)
	case "restart":
		return a.restart(asked)
	case "down", "up":
		return a.want(s.kind, asked)
	case "cut":
		return a.cut(s, asked)
	case "ups":
		return a.ups(s)
	case "follow":
		return a.cutCall(s.after*10, "logs", "-f")
	}
	return nil
}

// away lets a service exit again and again while there is no daemon.
func (a *attack) away(s strike, victim string) error {
	a.killDaemon()
	for end := time.Now().Add(s.away); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		a.exit(victim, s.code)
		s.code++
	}
	a.killService(s)
	return a.start()
}

// exit asks a service to exit. It may just not be there.
func (a *attack) exit(victim string, code int) {
	res, err := a.client.Post(fmt.Sprintf("%s/exit?code=%d", a.urls[victim], code), "", nil) // no proxy asks twice
	if err == nil {
		_ = res.Body.Close()
	}
}

// freeze stops the daemon for 300 ms.
func (a *attack) freeze() error {
	for _, p := range a.named("steadd") {
		if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		time.Sleep(300 * time.Millisecond)
		if err := syscall.Kill(p.pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// killService kills the process of a service, if there is one.
func (a *attack) killService(s strike) {
	count := map[string]int{"victim": victims, "ticker": tickers, "writer": writers}[s.target]
	if p, ok := a.leader(fmt.Sprintf("%s%d", s.target, s.who%count)); ok {
		a.killed[p.label()] = true
		_ = syscall.Kill(p.pid, syscall.SIGKILL) // it may have ended by itself
	}
}

// want asks for a victim to be up or down. The daemon is there, or on its
// way: the call must get through.
func (a *attack) want(verb, victim string) error {
	a.abrupt++
	_, err := a.call(patience, arguments(verb, victim)...)
	a.model.asked(verb, []string{victim}, err == nil)
	return err
}

// restart gives a victim that is up a new generation.
func (a *attack) restart(victim string) error {
	if a.model[victim] != wishUp {
		return nil
	}
	before, err := a.generation(victim)
	if err != nil {
		return err
	}
	a.abrupt++
	if _, err := a.call(patience, "restart", victim); err != nil {
		return err
	}
	after, err := a.generation(victim)
	if err == nil && after <= before {
		err = fmt.Errorf("restart %s: it had generation %d and has %d", victim, before, after)
	}
	return err
}

func (a *attack) generation(service string) (int, error) {
	list, err := a.status()
	for _, s := range list {
		if s.Name == service {
			return s.Generation, err
		}
	}
	return 0, err
}

// arguments of a call.
func arguments(verb, victim string) []string {
	if verb == "up" {
		return []string{"up", "-d", victim}
	}
	return []string{verb, victim}
}

// meet kills the daemon in the middle of a call, which may fail then, but
// must end; and the next one must get through.
func (a *attack) meet(s strike, victim string) error {
	a.abrupt++
	done := make(chan error, 1)
	go func() { // ends with the call, which is bounded
		_, err := a.call(patience, arguments(s.verb, victim)...)
		done <- err
	}()
	time.Sleep(s.after)
	a.killDaemon()
	if err := a.start(); err != nil {
		return err
	}
	err := <-done
	a.model.asked(s.verb, []string{victim}, err == nil)
	if err != nil && errors.Is(err, errHangs) {
		return err
	}
	return nil
}

// cut kills a call in its middle.
func (a *attack) cut(s strike, victim string) error {
	a.abrupt++
	err := a.cutCall(s.after, arguments(s.verb, victim)...)
	a.model.asked(s.verb, []string{victim}, false)
	return err
}

func (a *attack) cutCall(after time.Duration, args ...string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := a.command(ctx, "stead", args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	defer time.AfterFunc(after, cancel).Stop()
	_ = cmd.Wait() // killed, or done already
	return nil
}

// ups wants everything up by several calls at once.
func (a *attack) ups(s strike) error {
	a.abrupt++
	done := make(chan error, s.times)
	for range s.times {
		go func() { // ends with the call, which is bounded
			_, err := a.call(patience, "up", "-d")
			done <- err
		}()
	}
	var errs []error
	for range s.times {
		errs = append(errs, <-done)
	}
	err := errors.Join(errs...)
	a.model.asked("up", a.everybody(), err == nil)
	return err
}
