package watch

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// play lets a settle run on the clock of a bubble: events come when they say,
// paths being how many there are by then, and git holds its lock for a while.
// It returns when the changes were told, from the first event on.
func play(gaps []time.Duration, paths int, git time.Duration, gone bool, open time.Duration) time.Duration {
	began := time.Now()
	var s settle
	seen := 0
	event := time.After(gaps[0])
	for {
		var due <-chan time.Time
		if s.active() {
			due = time.After(time.Until(s.due(min(seen, paths))))
		}
		select {
		case <-event:
			s.note(time.Now())
			seen++
			event = nil
			if seen < len(gaps) {
				event = time.After(gaps[seen])
			}
		case <-due:
			if time.Now().Before(s.due(min(seen, paths))) {
				continue
			}
			if !s.hold(time.Now(), time.Since(began) < git, func() bool { return gone }, func() bool { return time.Since(began) < open }) {
				return time.Since(began)
			}
		}
	}
}

func TestSettle(t *testing.T) {
	const ms = time.Millisecond
	storm := func(n int, gap time.Duration) (gaps []time.Duration) {
		gaps = make([]time.Duration, n)
		for i := 1; i < n; i++ {
			gaps[i] = gap
		}
		return gaps
	}
	for name, c := range map[string]struct {
		gaps  []time.Duration
		paths int
		git   time.Duration
		gone  bool
		open  time.Duration
		want  time.Duration
	}{
		"a save":                    {storm(1, 0), 1, 0, false, 0, quietSave},
		"a save in three steps":     {storm(3, ms), 1, 0, false, 0, 2*ms + quietSave},
		"a formatter's first file":  {storm(20, 3*ms), 20, 0, false, 0, quietSave},
		"a storm":                   {storm(200, ms), 200, 0, false, 0, 199*ms + 100*ms},
		"a storm without end":       {storm(4000, ms), 4000, 0, false, 0, time.Second},
		"a file that is gone":       {storm(1, 0), 1, 0, true, 0, 50 * ms},
		"a file being written":      {storm(2, 5*ms), 1, 0, false, 20 * ms, 20 * ms},
		"a log, open for ever":      {storm(1, 0), 1, 0, false, time.Hour, 50 * ms},
		"written without end":       {storm(4000, 10*ms), 1, 0, false, time.Hour, time.Second},
		"git at work":               {storm(1, 0), 1, 200 * ms, false, 0, 200*ms + quietSave + 25*ms},
		"git at work for ever":      {storm(1, 0), 1, time.Hour, false, 0, 5*time.Second + quietSave},
		"a storm in git's own time": {storm(1000, 2*ms), 1000, 2 * time.Second, false, 0, 2*time.Second + 25*ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := play(c.gaps, c.paths, c.git, c.gone, c.open); got < c.want || got > c.want+gitAgain {
					t.Errorf("told after %v, want %v", got, c.want)
				}
			})
		})
	}
}

// What comes just after a save that was told, as a formatter's next files, is
// told together.
func TestSettleAfterASave(t *testing.T) {
	told := time.Unix(1e9, 0)
	for gap, want := range map[time.Duration]time.Duration{time.Millisecond: quietFew, quietFew: quietSave, time.Hour: quietSave} {
		s := settle{told: told}
		s.note(told.Add(gap))
		if got := s.due(1).Sub(s.last); got != want {
			t.Errorf("after %v: %v, want %v", gap, got, want)
		}
	}
}

// A writer that is not held by anybody, and writes all the time, is told a few
// times and no more; nor are there more traces than there should be.
func TestOutputsWriterWithoutEnd(t *testing.T) {
	var o outputs
	now := time.Unix(1e9, 0)
	told := 0
	for range 10_000 {
		now = now.Add(100 * time.Millisecond)
		if o.judge("log", now, now, false).tell {
			told++
			o.begin(now)
			o.end(now.Add(50 * time.Millisecond))
		}
		told += len(o.catchUp(now))
	}
	if told > ownChanges+relapses+catchUps {
		t.Errorf("told %d times", told)
	}
	for i := range 10 * maxTraces {
		o.judge(fmt.Sprint(i), now, now, false)
	}
	if len(o.traces) > maxTraces || o.traces["log"] == nil {
		t.Errorf("%d traces, the suspended one: %v", len(o.traces), o.traces["log"])
	}
}

// A person's saves, now and then in the middle of a reload: each is told.
func TestOutputsPerson(t *testing.T) {
	var o outputs
	now := time.Unix(1e9, 0)
	for i, gap := range []time.Duration{0, 900, 3000, 1500, 400, 2100, 700, 5000, 1200, 300, 1900} {
		now = now.Add(gap * time.Millisecond)
		if !o.judge("main.go", now, now, false).tell {
			t.Errorf("save %d was not told", i)
		}
		o.begin(now)
		if i > 0 {
			o.end(now)
		}
	}
}

// play lets a service be reloaded for each change of a path that is told: the
// reload takes so long, and writes the path after a while if own is set. What
// is saved besides comes at its time. It returns how many changes were told,
// when the last was, and whether the path was ever said to be suspended.
func playOutputs(own time.Duration, takes time.Duration, named bool, saves []time.Duration) (told int, last time.Duration, said bool) {
	var o outputs
	began := time.Unix(1e9, 0)
	var write, end time.Time // due; zero: no
	for now := began; now.Before(began.Add(time.Minute)); now = now.Add(time.Millisecond) {
		changed := !write.IsZero() && !now.Before(write)
		if changed {
			write = time.Time{}
		}
		if len(saves) > 0 && now.Sub(began) >= saves[0] {
			changed, saves = true, saves[1:]
		}
		if !end.IsZero() && !now.Before(end) {
			o.end(now)
			end = time.Time{}
		}
		tell := len(o.catchUp(now)) > 0
		if changed {
			j := o.judge("x", now, now, named)
			tell, said = tell || j.tell, said || j.suspend
		}
		if tell {
			told, last = told+1, now.Sub(began)
			o.begin(now)
			if !end.IsZero() { // the reload before is given up
				o.end(now)
			}
			end = now.Add(takes)
			if own > 0 {
				write = now.Add(own)
			}
		}
	}
	return told, last, said
}

// A developer who saves one file ten times in quick succession, each while the
// last reload is under way, is never told that it is output; and the last save
// is acted on soon.
func TestQuickSavesAreNotSuspended(t *testing.T) {
	const ms = time.Millisecond
	for _, named := range []bool{true, false} {
		for _, gap := range []time.Duration{20 * ms, 100 * ms, 300 * ms, 700 * ms, 950 * ms, 1500 * ms, 4000 * ms} {
			for _, takes := range []time.Duration{gap / 2, gap * 11 / 10, 3 * gap, 2000 * ms} {
				var saves []time.Duration
				for i := range 10 {
					saves = append(saves, time.Duration(i)*gap)
				}
				_, last, said := playOutputs(0, takes, named, saves)
				if said {
					t.Errorf("named %v, each %v in reloads of %v: suspended", named, gap, takes)
				}
				if done := saves[9]; last < done || last > done+takes+2*reloadGrace {
					t.Errorf("named %v, each %v in reloads of %v: the last save, after %v, is told after %v", named, gap, takes, done, last)
				}
			}
		}
	}
}

// A service that writes what it watches whenever it starts is found, within
// seconds and some reloads.
func TestOwnOutputOfEachStart(t *testing.T) {
	const ms = time.Millisecond
	for _, named := range []bool{true, false} {
		for _, own := range []time.Duration{5 * ms, 300 * ms, 1500 * ms} {
			for _, takes := range []time.Duration{own + ms, 2 * own, own + 2000*ms} {
				told, last, said := playOutputs(own, takes, named, []time.Duration{0})
				if !said || told > 1+ownChanges+relapses+catchUps || last > 40*time.Second {
					t.Errorf("named %v, %v after each start of %v: suspended: %v, after %d reloads, the last after %v", named, own, takes, said, told, last)
				}
			}
		}
	}
}

// A tool that saves a source whenever the last reload is over is no output; a
// build that writes one is.
func TestOutputsNamed(t *testing.T) {
	for during, want := range map[bool]int{false: 100, true: ownChanges} {
		var o outputs
		now, told := time.Unix(1e9, 0), 0
		for range 100 {
			now = now.Add(50 * time.Millisecond)
			if !during && o.acting > 0 {
				o.end(now)
			}
			if o.judge("main.go", now, now, true).tell {
				told++
				if during && o.acting > 0 {
					o.end(now)
				}
				o.begin(now)
			}
		}
		if told != want {
			t.Errorf("during %v: told %d times, want %d", during, told, want)
		}
	}
}

func TestMergeChanges(t *testing.T) {
	a := []Change{{"a", Created}, {"b", Created}, {"c", Removed}, {"d", Written}}
	b := []Change{{"a", Removed}, {"b", Written}, {"c", Created}, {"d", Removed}, {"e", Created}}
	want := "[{b created} {c written} {d removed} {e created}]"
	if got := fmt.Sprint(mergeChanges(a, b)); got != want {
		t.Errorf("got %s", got)
	}
}
