package kubernetes

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stead-dev/stead/runtime"
)

// Logs implements runtime.Runtime, from the logs that the kubelets keep: those
// of pods that exist, of each the run that there is and the one before. Of pods
// that this runtime ended because they failed it kept the last lines.
//
// A block is one line. Its Time is the kubelet's, by which the lines of all
// pods are merged. Its Offset is such that Offset+len(Data) is the nanosecond
// after Time, since 1970, or where the block before it ended if that is later:
// so positions do not overlap, grow, and mean the same to every caller. A query
// with an Offset is one for what was written at or after that nanosecond.
//
// The kubelet mixes stdout and stderr, so Stream is StreamUnknown, but for
// terminals. Nobody who reads slowly loses anything: the kubelet waits, and
// the service does not notice.
func (r *Runtime) Logs(ctx context.Context, query runtime.LogQuery, fn func(runtime.LogBlock) error) error {
	reader := &logReader{pods: r.pods(), open: r.openLog, kept: &r.kept, query: query}
	if err := reader.read(ctx, fn); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("log of %s: %w", query.Service, err)
	}
	return nil
}

func (r *Runtime) openLog(ctx context.Context, pod *corev1.Pod, o *corev1.PodLogOptions) (io.ReadCloser, error) {
	return r.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, o).Stream(ctx)
}

// logReader is one call of Logs.
type logReader struct {
	pods  pods
	open  func(ctx context.Context, pod *corev1.Pod, o *corev1.PodLogOptions) (io.ReadCloser, error)
	kept  *kept // nil: nothing
	query runtime.LogQuery
	match *regexp.Regexp    // nil: every line
	since time.Time         // of Since and Offset the later
	end   int64             // of the newest line that was read
	last  map[types.UID]int // attempt of the run that was read last, by pod
}

func (l *logReader) read(ctx context.Context, fn func(runtime.LogBlock) error) error {
	if err := l.prepare(); err != nil {
		return err
	}
	seen, known, _ := l.pods.writers(l.service())
	if !known {
		return runtime.NotFound
	}
	places := map[string]*place{} // by container
	if err := l.backlog(ctx, seen, places, fn); err != nil {
		return err
	}
	if l.query.Follow {
		return l.follow(ctx, places, fn)
	}
	if l.match != nil { // the contract: Offset is where reading ended
		return fn(runtime.LogBlock{Service: l.query.Service, Offset: l.end})
	}
	return nil
}

func (l *logReader) service() runtime.ID {
	return runtime.ID{Environment: l.query.Environment, Project: l.query.Project, Service: l.query.Service, Number: l.query.Generation}
}

func (l *logReader) prepare() error {
	if q := l.query; q.Stream == runtime.StreamStdout || q.Stream == runtime.StreamStderr {
		err := fmt.Errorf("a cluster does not tell stdout and stderr apart: %w", runtime.Unsupported)
		return runtime.WithHint(err, "leave out the choice of a stream")
	}
	if l.query.Match != "" {
		match, err := regexp.Compile(l.query.Match)
		if err != nil {
			return fmt.Errorf("match %q: %w: %w", l.query.Match, err, runtime.Invalid)
		}
		l.match = match
	}
	l.since, l.end = l.query.Since, l.query.Offset
	if at := time.Unix(0, l.query.Offset); l.query.Offset > 0 && at.After(l.since) {
		l.since = at
	}
	return nil
}

// backlog hands over what is there already.
func (l *logReader) backlog(ctx context.Context, seen []sight, places map[string]*place, fn func(runtime.LogBlock) error) error {
	ctx, cancel := context.WithCancel(ctx)
	merge := &merger{}
	defer merge.wait()
	defer cancel()
	l.last = map[types.UID]int{}
	for _, s := range seen {
		tail := &tail{reader: l, pod: s, places: map[string]*place{}}
		for _, r := range s.runs() { // here: the goroutines must not share a map
			places[r.container] = new(place)
			tail.places[r.container] = places[r.container]
			l.last[s.pod.UID] = r.instance.Attempt
		}
		merge.add(ctx, tail.past)
	}
	for _, lines := range l.keepsakes(seen) {
		merge.add(ctx, func(ctx context.Context, to chan<- logLine) error { return send(ctx, to, lines) })
	}
	if l.query.Last > 0 {
		last := newRing(l.query.Last)
		err := merge.inOrder(func(line logLine) error {
			if l.wants(&line) {
				last.add(line)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return last.each(func(line logLine) error { return l.hand(line, fn) })
	}
	return merge.inOrder(func(line logLine) error {
		if !l.wants(&line) {
			return nil
		}
		return l.hand(line, fn)
	})
}

// wants gives a line that was read its place in the log, and reports whether
// it is asked for.
func (l *logReader) wants(line *logLine) bool {
	switch q := l.query; {
	case line.time.Before(l.since), !q.Until.IsZero() && !line.time.Before(q.Until):
		return false
	}
	if l.match != nil && !bytes.HasSuffix(line.data, []byte("\n")) {
		line.data = append(line.data, '\n')
	}
	l.end = max(line.time.UnixNano()+1, l.end+int64(len(line.data)))
	line.end = l.end
	switch q := l.query; {
	case q.Stream != runtime.StreamUnknown && q.Stream != line.stream:
		return false
	case l.match == nil:
		return true
	}
	text := bytes.TrimSuffix(line.data, []byte("\n"))
	return l.match.Match(bytes.TrimSuffix(text, []byte("\r")))
}

// hand hands a line over as a block.
func (l *logReader) hand(line logLine, fn func(runtime.LogBlock) error) error {
	return fn(runtime.LogBlock{
		Service: l.query.Service, Instance: line.instance, Stream: line.stream,
		Time: line.time, Offset: line.end - int64(len(line.data)), Data: line.data,
	})
}
