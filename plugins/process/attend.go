package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/stead-dev/stead/runtime"
)

const (
	unreadyAfter = time.Second            // then Watch is told what the probe sees
	detailEvery  = 200 * time.Millisecond // at most so often, when the detail alone has changed
	liveEvery    = 10 * time.Second       // as Kubernetes; a Probe says otherwise
	liveFailures = 3                      // as Kubernetes; a Probe says otherwise
)

// attend asks whether the instance is ready and whether it lives, as its spec
// wants, and returns when the instance has ended or nothing is left to ask.
func (in *instance) attend(k *keeper) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() { // ends with attend
		select {
		case <-in.child.exited:
			cancel()
		case <-stop:
		}
	}()
	t := &teller{k: k, in: in}
	if k.spec.Ready == nil {
		t.told = runtime.Readiness{Ready: true} // by the keeper
	} else if !in.untilReady(ctx, k, t) {
		return
	}
	var work sync.WaitGroup
	defer work.Wait()
	if k.spec.Live != nil {
		work.Go(func() { in.untilSick(ctx, k) }) // ends with ctx
	}
	if k.spec.Ready.Repeats() || in.notices != nil {
		in.stayReady(ctx, k, t)
	}
}

// untilReady reports whether the instance got ready before it ended.
func (in *instance) untilReady(ctx context.Context, k *keeper, t *teller) bool {
	try, news := in.asker(k, k.spec.Ready, true)
	pause, places := k.r.unready.enter(), &elsewhere{in: in, probe: k.spec.Ready}
	defer k.r.unready.leave()
	first := time.Duration(0)
	if k.spec.Ready.UsesPort() {
		first = pause // it has hardly been forked
	}
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		case <-news:
		}
		err := try(ctx)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			t.tell(runtime.Readiness{Ready: true, Detail: in.notices.said()})
			return true
		}
		wait := t.tell(runtime.Readiness{Detail: places.explain(err, k).Error()})
		if news == nil {
			wait, pause = pause, nextPause(pause, k.spec.Ready)
		}
		if timer.Stop(); wait > 0 {
			timer.Reset(wait)
		}
	}
}

func nextPause(pause time.Duration, probe *runtime.Probe) time.Duration {
	if probe.Interval > 0 {
		return probe.Interval
	}
	return min(pause*8/7, probeMost)
}

// asker returns how the probe is asked once, and for those that are not worth
// asking again before something has come, what says that it has. sparing: where
// nobody listens, only every other attempt looks at all addresses.
func (in *instance) asker(k *keeper, probe *runtime.Probe, sparing bool) (try func(context.Context) error, news <-chan struct{}) {
	switch probe.Kind {
	case runtime.ProbeLog:
		return func(context.Context) error { return in.ears.ask() }, in.ears.news
	case runtime.ProbeNotify:
		return func(context.Context) error { return in.notices.askReady() }, in.notices.news
	}
	run := func(ctx context.Context, command []string) error { return in.check(ctx, k, command) }
	hosts := loopback[:]
	return func(ctx context.Context) error {
		err := ask(ctx, probe, hosts, in.ports[probe.Port], run)
		if all := len(hosts) == len(loopback); sparing && all && errors.Is(err, syscall.ECONNREFUSED) {
			hosts = loopback[:1]
		} else {
			hosts = loopback[:]
		}
		return err
	}, nil
}

// stayReady goes on asking where the spec wants that, and passes on what the
// instance says of itself.
func (in *instance) stayReady(ctx context.Context, k *keeper, t *teller) {
	probe, seen, failed := k.spec.Ready, runtime.Readiness{Ready: true}, 0
	poll, again := time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	defer poll.Stop()
	defer again.Stop()
	again.Stop() // until something is held back
	var try func(context.Context) error
	if poll.Stop(); probe.Repeats() {
		try, _ = in.asker(k, probe, false)
		poll.Reset(probe.Interval)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-in.notices.changed():
		case <-again.C:
		case <-poll.C:
			err := try(ctx)
			if ctx.Err() != nil {
				return
			}
			if failed = in.count(failed, err); err == nil {
				seen = runtime.Readiness{Ready: true}
			} else if !seen.Ready || failed >= cmp.Or(probe.Failures, liveFailures) {
				seen = runtime.Readiness{Detail: err.Error()}
			}
			poll.Reset(probe.Interval)
		}
		if seen.Ready {
			seen.Detail = in.notices.said()
		}
		if wait := t.tell(seen); wait > 0 {
			again.Reset(wait)
		}
	}
}

// untilSick asks whether the instance lives until it has failed too often.
func (in *instance) untilSick(ctx context.Context, k *keeper) {
	live := k.spec.Live
	every, most := cmp.Or(live.Interval, liveEvery), cmp.Or(live.Failures, liveFailures)
	try, _ := in.asker(k, live, false)
	if live.Kind == runtime.ProbeNotify {
		try = func(context.Context) error { return in.notices.askBeat(every) }
	}
	sick := fact{kind: factSick, replica: in.id.Replica, attempt: in.id.Attempt}
	timer := time.NewTimer(every)
	defer timer.Stop()
	for failed := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-in.notices.triggered():
			sick.why = "it asked for its own end by WATCHDOG=trigger"
			k.post(sick)
			return
		case <-timer.C:
		}
		err := try(ctx)
		if ctx.Err() != nil {
			return
		}
		if failed = in.count(failed, err); failed >= most {
			sick.why = fmt.Sprintf("liveness probe failed %s: %s", times(failed), err)
			k.post(sick)
			return
		}
		timer.Reset(every)
	}
}

// count returns how many probes have failed in a row. While somebody has the
// instance in a debugger none counts, nor does the first one after that: its
// interval was not the instance's own.
func (in *instance) count(failed int, err error) int {
	switch {
	case err == nil:
		return 0
	case in.halted() != "":
		return -1
	}
	return failed + 1
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// teller tells the keeper what is seen of readiness, when that has changed.
type teller struct {
	k    *keeper
	in   *instance
	told runtime.Readiness
	at   time.Time // zero: nothing was told yet
	late bool      // it was told when Watch is, too
}

// tell returns how long to wait before it should be called again even if
// there is nothing new, 0 for ever.
func (t *teller) tell(seen runtime.Readiness) time.Duration {
	now := t.k.r.now()
	early := unreadyAfter - now.Sub(t.in.began)
	turned := seen.Ready != t.told.Ready || t.at.IsZero() && !seen.Ready
	switch {
	case turned:
	case seen == t.told && (seen.Ready || t.late):
		return 0
	case seen == t.told && early > 0:
		return early
	case early <= 0 && now.Sub(t.at) < detailEvery:
		return detailEvery - now.Sub(t.at)
	}
	t.told, t.at, t.late = seen, now, early <= 0
	t.k.post(fact{kind: factProbed, replica: t.in.id.Replica, attempt: t.in.id.Attempt, readiness: seen})
	if seen.Ready {
		return 0
	}
	return max(early, 0)
}
