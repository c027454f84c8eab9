package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func sized(service string, n int) *steadpb.LogBlock {
	return &steadpb.LogBlock{Service: service, Data: make([]byte, n)}
}

func taken(q *logQueue, size int) ([]string, error) {
	blocks, err := q.take(size)
	var got []string
	for _, b := range blocks {
		got = append(got, fmt.Sprintf("%s%d+%d", b.GetService(), len(b.GetData()), b.GetGap()))
	}
	return got, err
}

func TestLogQueueDropsTheOldest(t *testing.T) {
	q := newLogQueue(3000 + 3*blockCost)
	first := sized("a", 1000)
	first.Gap = 5
	for _, b := range []*steadpb.LogBlock{first, sized("b", 1001), sized("a", 1002), sized("b", 1003), sized("b", 900)} {
		q.offer(b)
	}
	// a1000 and b1001 went; each log learns its own loss, before its next block.
	if got, _ := taken(q, 1<<20); !reflect.DeepEqual(got, []string{"a1002+1005", "b1003+1001", "b900+0"}) {
		t.Errorf("got %v", got)
	}
	q.offer(sized("a", 10))
	q.offer(sized("b", 5000)) // larger than everything: kept alone
	if got, _ := taken(q, 1<<20); !reflect.DeepEqual(got, []string{"b5000+0", "a0+10"}) {
		t.Errorf("got %v", got)
	}
	q.close(nil)
	if got, err := taken(q, 1); got != nil || err != io.EOF {
		t.Errorf("end: %v, %v", got, err)
	}
}

func TestLogQueueGivesAllBeforeItsEnd(t *testing.T) {
	q, bad := newLogQueue(1<<20), errors.New("bad")
	for range 3 {
		q.offer(sized("a", 100))
	}
	q.close(bad)
	for range 2 {
		<-q.ready // a token is there whenever something is left
		if got, err := taken(q, 1); len(got) != 1 || err != nil {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if got, err := taken(q, 1); len(got) != 1 || err != bad {
		t.Errorf("%v, %v", got, err)
	}
}

func TestLogQueuePutWaitsForRoom(t *testing.T) {
	q := newLogQueue(1000)
	if err := q.put(t.Context(), sized("a", 900)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.put(ctx, sized("a", 900)); !errors.Is(err, context.Canceled) {
		t.Errorf("full: %v", err)
	}
	put := make(chan error)
	go func() { put <- q.put(t.Context(), sized("b", 901)) }()
	if got, _ := taken(q, 1); !reflect.DeepEqual(got, []string{"a900+0"}) {
		t.Errorf("got %v", got)
	}
	if err := <-put; err != nil {
		t.Error(err)
	}
	if got, _ := taken(q, 1); !reflect.DeepEqual(got, []string{"b901+0"}) {
		t.Errorf("got %v", got)
	}
}
