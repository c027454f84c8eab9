package kubernetes

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/stead-dev/stead/runtime"
)

// What is kept of the logs of pods that failed and are no more: enough to see
// why. All of it is some megabytes at most.
const (
	keptLines = 200
	keptBytes = 32 << 10 // of one pod
	keptPods  = 64
	keptTime  = 5 * time.Second // to read them
)

// kept are the last lines of pods that this runtime has ended: with a pod goes
// its log, and who is told that a generation failed wants to read why. They are
// lost with this process.
type kept struct {
	mu   sync.Mutex
	pods []keepsake // oldest first
}

type keepsake struct {
	uid   types.UID
	id    runtime.ID
	log   string // the service whose log it is
	lines []logLine
}

// keepLogs reads the last lines of a generation's pods, or of one of them,
// before these are ended. What cannot be read is done without.
func (r *Runtime) keepLogs(ctx context.Context, id runtime.ID, pod string) {
	ctx, cancel := context.WithTimeout(ctx, keptTime)
	defer cancel()
	known, ok := r.ledger.record(id)
	if !ok {
		return
	}
	log := known.Log
	if log == "" {
		log = id.Service
	}
	seen, _, _ := r.pods().look(id)
	for _, s := range seen {
		if pod != "" && s.pod.Name != pod {
			continue
		}
		reader := &logReader{pods: r.pods(), open: r.openLog, query: runtime.LogQuery{Last: keptLines}}
		one := keepsake{uid: s.pod.UID, id: id, log: log}
		lines := make(chan logLine)
		var work sync.WaitGroup
		work.Go(func() { // ends when all is read, or by ctx
			defer close(lines)
			_ = (&tail{reader: reader, pod: s, places: map[string]*place{}}).past(ctx, lines)
		})
		for line := range lines {
			one.lines = append(one.lines, line)
		}
		work.Wait()
		r.kept.add(one)
	}
}

func (k *kept) add(one keepsake) {
	size, from := 0, len(one.lines)
	for from > 0 && len(one.lines)-from < keptLines && size+len(one.lines[from-1].data) <= keptBytes {
		from--
		size += len(one.lines[from].data)
	}
	one.lines = slices.Clone(one.lines[from:])
	if len(one.lines) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pods = slices.DeleteFunc(k.pods, func(old keepsake) bool { return old.uid == one.uid })
	k.pods = append(k.pods, one)
	if extra := len(k.pods) - keptPods; extra > 0 {
		k.pods = slices.Delete(k.pods, 0, extra)
	}
}

// keepsakes are those of pods that are not seen any more.
func (l *logReader) keepsakes(seen []sight) [][]logLine {
	if l.kept == nil {
		return nil
	}
	l.kept.mu.Lock()
	defer l.kept.mu.Unlock()
	var all [][]logLine
	for _, one := range l.kept.pods {
		q := l.query
		if one.log != q.Service || q.Generation != 0 && one.id.Number != q.Generation {
			continue
		}
		if !slices.ContainsFunc(seen, func(s sight) bool { return s.pod.UID == one.uid }) {
			all = append(all, one.lines)
		}
	}
	return all
}

// send sends copies: whoever takes a line may change it.
func send(ctx context.Context, to chan<- logLine, lines []logLine) error {
	for _, line := range lines {
		line.data = slices.Clone(line.data)
		select {
		case to <- line:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
