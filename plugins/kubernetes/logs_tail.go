package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stead-dev/stead/runtime"
)

// The delays before a log is asked for again that ended too soon.
const (
	tailAgainMin = 100 * time.Millisecond
	tailAgainMax = 5 * time.Second
	tailTries    = 4               // of a log that is not followed
	tailKnown    = 2 * time.Second // for the cluster to know of the end of a container
	tailEnd      = time.Second     // for the rest of a log after the end of its container
)

// tail reads the logs of one pod, run after run.
type tail struct {
	reader *logReader
	pod    sight             // as it was seen last
	places map[string]*place // by container
	last   int               // attempt of the run that was read last
	first  time.Time         // of the lines that the last copy brought; zero: none
}

// past sends what there is now.
func (t *tail) past(ctx context.Context, to chan<- logLine) error {
	for _, r := range t.pod.runs() {
		delay := tailAgainMin
		for try := 1; ; try++ {
			err := t.copy(ctx, r, false, to)
			if err == nil || gone(err) {
				t.place(r).done = !r.live
				break
			}
			if !t.first.IsZero() {
				try, delay = 0, tailAgainMin // it gets on
			}
			if try == tailTries || ctx.Err() != nil {
				return fmt.Errorf("of pod %s: %w: %w", t.pod.pod.Name, err, runtime.Unavailable)
			}
			if !pause(ctx, delay) {
				return ctx.Err()
			}
			delay *= 2
		}
		t.last = r.instance.Attempt
	}
	return nil
}

// future sends what is not read yet and what comes, until the pod is gone or
// ctx ends.
func (t *tail) future(ctx context.Context, to chan<- logLine) error {
	delay := tailAgainMin
	for ctx.Err() == nil {
		seen, _, changed := t.reader.pods.look(t.pod.id)
		now, there := find(seen, t.pod)
		if there {
			t.pod = now
		}
		r, ok := t.next()
		if !ok {
			if !there || !wait(ctx, changed) {
				return nil
			}
			continue
		}
		if err := t.skipped(ctx, r, to); err != nil {
			return err
		}
		before := *t.place(r)
		err := t.followRun(ctx, r, to)
		t.last = r.instance.Attempt
		switch {
		case gone(err) && !there:
			return nil
		case (err == nil || gone(err)) && !r.live:
			t.place(r).done = true
			continue
		}
		// The connection was lost, or the run has ended and nobody knows yet.
		if !t.first.IsZero() {
			delay = tailAgainMin
		}
		if err == nil { // an end in order is that of the run: the log that is opened now may be the next one's
			delay = tailKnown
		}
		if !t.settle(ctx, delay) {
			return nil
		}
		delay = min(2*delay, tailAgainMax)
		t.disown(r, before)
	}
	return nil
}

// next returns the first run that was not read to its end.
func (t *tail) next() (run, bool) {
	for _, r := range t.pod.runs() {
		if !t.place(r).done {
			return r, true
		}
	}
	return run{}, false
}

func (t *tail) place(r run) *place {
	p := t.places[r.container]
	if p == nil {
		p = new(place)
		t.places[r.container] = p
	}
	return p
}

// skipped tells of runs whose logs were gone before they could be read: the
// kubelet keeps that of one run before the current one.
func (t *tail) skipped(ctx context.Context, r run, to chan<- logLine) error {
	missing := r.instance.Attempt - t.last - 1
	if t.last == 0 || missing <= 0 {
		return nil
	}
	line := logLine{time: t.newest(), instance: r.instance, stream: runtime.StreamRuntime}
	line.data = fmt.Appendf(nil, "[stead] the output of %d runs before this one is lost: the cluster does not keep it\n", missing)
	select {
	case to <- line:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newest is when the newest line of the pod was written.
func (t *tail) newest() time.Time {
	newest := time.Unix(0, 0)
	for _, p := range t.places {
		if p.newest.After(newest) {
			newest = p.newest
		}
	}
	return newest
}

// settle waits for delay, or less when the pod changes.
func (t *tail) settle(ctx context.Context, delay time.Duration) bool {
	_, _, changed := t.reader.pods.look(t.pod.id)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// disown gives what was read as r's to the run after it, if it was: the
// container may be another one by the time that the kubelet opens its log. What
// was written a second and more after the end of a run is not of that run.
func (t *tail) disown(r run, before place) {
	seen, _, _ := t.reader.pods.look(t.pod.id)
	now, ok := find(seen, t.pod)
	if !ok || t.first.IsZero() {
		return
	}
	runs := now.runs()
	if len(runs) == 0 || runs[len(runs)-1].container == r.container {
		return
	}
	if runs[0].container == r.container && t.first.Unix() <= runs[0].ended+1 {
		return
	}
	t.pod = now
	read := t.place(r)
	*t.place(runs[len(runs)-1]) = *read
	*read = before
}

// followRun sends a run's log, and when it is live what comes. A connection may
// outlive its container, or have been opened to the next one's log: so it is
// cut some time after the container has ended.
func (t *tail) followRun(ctx context.Context, r run, to chan<- logLine) error {
	if !r.live {
		return t.copy(ctx, r, false, to)
	}
	ctx, cancel := context.WithCancel(ctx)
	var guard sync.WaitGroup
	defer guard.Wait()
	defer cancel()
	pod := t.pod
	guard.Go(func() { // ends with ctx, which it cuts short
		defer cancel()
		for {
			seen, _, changed := t.reader.pods.look(pod.id)
			now, ok := find(seen, pod)
			if !ok || !now.lives(r) {
				pause(ctx, tailEnd)
				return
			}
			if !wait(ctx, changed) {
				return
			}
		}
	})
	return t.copy(ctx, r, true, to)
}

// lives reports whether the container of r runs.
func (s sight) lives(r run) bool {
	c, ok := s.container()
	return ok && c.State.Running != nil && c.ContainerID == r.container
}

// copy sends one run's log from its place on. With follow it ends when the run
// does, or the connection.
func (t *tail) copy(ctx context.Context, r run, follow bool, to chan<- logLine) error {
	t.first = time.Time{}
	place := t.place(r)
	options := t.options(r, place, follow)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := t.reader.open(ctx, t.pod.pod, options)
	if err != nil {
		return err
	}
	defer body.Close()
	repeats, in := place.repeats(), newLines(body)
	stream, skip := runtime.StreamUnknown, false
	if t.pod.tty {
		stream = runtime.StreamTerminal
	}
	for {
		at, data, first, err := in.next()
		if err != nil && (len(data) == 0 || !errors.Is(err, io.EOF) || r.live) {
			return ended(err) // a line that is not whole is read again
		}
		if first {
			if skip = repeats(at); !skip {
				place.seen(at, options.TailLines != nil)
				if t.first.IsZero() {
					t.first = at
				}
			}
		}
		if !skip {
			select {
			case to <- logLine{time: at, instance: r.instance, stream: stream, data: data}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err != nil {
			return ended(err)
		}
	}
}

func (t *tail) options(r run, p *place, follow bool) *corev1.PodLogOptions {
	o := &corev1.PodLogOptions{Container: t.pod.name(), Follow: follow, Previous: r.previous, Timestamps: true}
	since := p.second
	if since.IsZero() {
		since = t.reader.since
	}
	if !since.IsZero() {
		o.SinceTime = &metav1.Time{Time: since} // to the second, rounded down
	}
	if last := int64(t.reader.query.Last); p.second.IsZero() && last > 0 && !follow && t.reader.match == nil && t.reader.query.Until.IsZero() {
		o.TailLines = &last
	}
	return o
}

func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// gone reports whether the log is not there any more, or not yet. A bad
// request is one for the log of a container that does not exist.
func gone(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) || errors.Is(err, errNoLog)
}

// pause returns false when ctx ends before d has passed.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
