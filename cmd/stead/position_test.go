package main

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func TestPosition(t *testing.T) {
	var p position
	second := func(n int) *timestamppb.Timestamp { return timestamppb.New(time.Unix(int64(n), 0)) }
	for i, c := range []struct {
		block *steadpb.LogBlock
		want  string
		new   bool
	}{
		{&steadpb.LogBlock{Service: "web", Offset: 0, Data: []byte("one\n"), Time: second(1)}, "one\n", true},
		{&steadpb.LogBlock{Service: "web", Offset: 4, Data: []byte("two\n"), Time: second(2)}, "two\n", true},
		{&steadpb.LogBlock{Service: "api", Offset: 0, Data: []byte("one\n"), Time: second(1)}, "one\n", true},
		{&steadpb.LogBlock{Service: "web", Offset: 4, Data: []byte("two\n"), Time: second(2)}, "", false},
		{&steadpb.LogBlock{Service: "web", Offset: 4, Data: []byte("two\nthree\n"), Time: second(2)}, "three\n", true},
		{&steadpb.LogBlock{Service: "web", Offset: 14, Gap: 9, Time: second(3)}, "", true},
	} {
		if i == 3 { // from here on what was read comes again
			p.after(&steadpb.LogsRequest{})
		}
		b := c.block
		if got := p.pass(b); got != c.new || got && string(b.Data) != c.want {
			t.Errorf("%d: %v, %q", i, got, b.Data)
		}
	}
	request := p.after(&steadpb.LogsRequest{Follow: true, Last: 20})
	if !request.Since.AsTime().Equal(time.Unix(3, 0)) || request.Last != 0 || !request.Follow {
		t.Errorf("%v", request)
	}
}
