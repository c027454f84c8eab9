package ipc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

const (
	// logBatch and logPause bound what is sent at once: a message costs about
	// 20 µs however small it is, and a person does not see 5 ms.
	logBatch = 64 << 10
	logPause = 5 * time.Millisecond
	// logBuffer is what one reader may have waiting.
	logBuffer = 1 << 20
)

// Logs sends what services wrote: first what is there, merged by time; then,
// with follow, what comes, as it comes. What the request leaves out is left
// out where the logs are kept.
func (h handlers) Logs(ctx context.Context, req *steadpb.LogsRequest, stream steadpb.DaemonLogsServerStream) error {
	if err := validLogs(req); err != nil {
		return err
	}
	if _, err := resolve(h.backend.Present(), req.GetSelection()); err != nil {
		return err
	}
	// Headers now: a quiet service may write nothing for long.
	if err := stream.SendHeaders(); err != nil {
		return err
	}
	q := newLogQueue(logBuffer)
	reading, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // ends with reading, or when there is nothing more; awaited below
		defer close(done)
		q.close(h.readLogs(reading, req, q))
	}()
	err := sendLogs(ctx, q, stream.Send)
	stop()
	<-done
	return err
}

func validLogs(req *steadpb.LogsRequest) error {
	var v violations
	v.selection(req.GetSelection())
	v.atLeastZero("last", int64(req.GetLast()))
	v.timestamp("since", req.GetSince())
	v.timestamp("until", req.GetUntil())
	if req.GetFollow() && req.GetUntil() != nil {
		v.add("until: excludes follow")
	}
	if s, u := req.GetSince(), req.GetUntil(); s != nil && u != nil && u.AsTime().Before(s.AsTime()) {
		v.add("until: is before since")
	}
	v.expression("match", req.GetMatch())
	if s := req.GetStream(); s != "" && streamOf(s) == runtime.StreamUnknown {
		v.add("stream: %q is none of stdout, stderr, terminal and stead", s)
	}
	return v.err()
}

// readLogs fills q with everything that req asks for.
func (h handlers) readLogs(ctx context.Context, req *steadpb.LogsRequest, q *logQueue) error {
	r := logReader{backend: h.backend, req: req, queue: q}
	next, err := r.past(ctx)
	if err != nil || !req.GetFollow() {
		return err
	}
	return r.follow(ctx, next)
}

// sendLogs sends what q holds until q ends.
func sendLogs(ctx context.Context, q *logQueue, send func(*steadpb.LogsResponse) error) error {
	pace := time.NewTimer(0)
	defer pace.Stop()
	for {
		if err := await(ctx, q.ready); err != nil {
			return err
		}
		select { // more may come that can go along
		case <-pace.C:
		case <-q.hurry:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		blocks, err := q.take(logBatch)
		if len(blocks) > 0 { // the token may be older than the last take
			if err := send(&steadpb.LogsResponse{Blocks: blocks}); err != nil {
				return err
			}
		}
		pace.Reset(logPause)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// logReader reads the logs of what one request names.
type logReader struct {
	backend Backend
	req     *steadpb.LogsRequest
	queue   *logQueue
}

// query is the part of the request that goes for every service and call.
func (r logReader) query(n supervisor.Name) runtime.LogQuery {
	q := runtime.LogQuery{
		Environment: n.Environment,
		Project:     n.Project,
		Service:     n.Service,
		Generation:  r.req.GetGeneration(),
		Stream:      streamOf(r.req.GetStream()),
		Match:       r.req.GetMatch(),
	}
	if t := r.req.GetSince(); t != nil {
		q.Since = t.AsTime()
	}
	if t := r.req.GetUntil(); t != nil {
		q.Until = t.AsTime()
	}
	return q
}

// logBlockView copies b, whose data is only lent.
func logBlockView(project string, n supervisor.Name, b runtime.LogBlock) *steadpb.LogBlock {
	out := &steadpb.LogBlock{
		Project: valid(project),
		Service: n.Service,
		Stream:  streamName(b.Stream),
		Time:    timestamppb.New(b.Time),
		Offset:  b.Offset,
		Data:    bytes.Clone(b.Data),
		Gap:     b.Gap,
	}
	if i := b.Instance; i != (runtime.InstanceID{}) {
		out.Instance = fmt.Sprintf("%d/%d/%d", i.ID.Number, i.Replica, i.Attempt)
	}
	return out
}

// streamOf is the reverse of streamName.
func streamOf(name string) runtime.Stream {
	for s := runtime.StreamStdout; s <= runtime.StreamRuntime; s++ {
		if streamName(s) == name {
			return s
		}
	}
	return runtime.StreamUnknown
}

func streamName(s runtime.Stream) string {
	switch s {
	case runtime.StreamStdout:
		return "stdout"
	case runtime.StreamStderr:
		return "stderr"
	case runtime.StreamTerminal:
		return "terminal"
	case runtime.StreamRuntime:
		return "stead"
	}
	return "unknown"
}
